import { flag, integer, milliseconds, type Values } from './setting.js'
import { listenerSettings } from './shared-settings.js'

/** Nameserver properties under RocketMQ's own names (NamesrvConfig, NettyServerConfig of 5.x). */
export const nameserverSettings = {
  ...listenerSettings,
  listenPort: integer(9876, { min: 0, max: 65535 }, 'Port for clients and brokers; 0 picks a free one.'),
  scanNotActiveBrokerInterval: milliseconds(5000, 'How often brokers that stopped registering are looked for.'),
  orderMessageEnable: flag(false, 'Adds the order configuration of a topic to its route.'),
  returnOrderTopicConfigToBroker: flag(true, 'Sends the order configurations to brokers that register.'),
  enableTopicList: flag(true, 'Answers requests for the list of all topics.'),
} as const

export type NameserverConfig = Values<typeof nameserverSettings>
