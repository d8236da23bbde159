import { securitySettings } from './security-settings.js'
import { flag, text } from './setting.js'
import { tlsSettings } from './tls-settings.js'

const HOST_PORT = String.raw`(\[[0-9a-fA-F:.]+\]|[^\s:;,/]+):\d{1,5}`

/** Empty, or `host:port` joined by `;` as RocketMQ writes nameserver lists. */
export const NAMESERVER_LIST = new RegExp(`^(${HOST_PORT}(;${HOST_PORT})*)?$`)

/** What broker and nameserver have in common. */
export const listenerSettings = {
  bindAddress: text('127.0.0.1', 'Address to listen on. Anything but loopback needs authentication, or insecure=true.'),
  insecure: flag(false, 'Allows listening beyond loopback without authentication.'),
  storePathRootDir: text('./data', 'Directory for everything that is stored (RocketMQ: $HOME/store).', {
    aliases: ['dataDir'],
  }),
  ...securitySettings,
  ...tlsSettings,
} as const
