import { choice, flag, text } from './setting.js'

/** TLS, under the names of RocketMQ's TlsSystemConfig; its system properties are taken too. */
export const tlsSettings = {
  tlsServerMode: choice(
    ['permissive', 'enforcing', 'disabled'],
    'permissive',
    'Takes TLS on every port: as the client likes, from everybody, or not at all.',
    { aliases: ['tls.server.mode'] },
  ),
  tlsTestModeEnable: flag(
    true,
    'Without tlsServerCertPath, encrypts with a certificate made at the first use, which no client can check.',
    { aliases: ['tls.test.mode.enable'] },
  ),
  tlsServerCertPath: text('', 'Certificate of the server with its chain, PEM. Changes are noticed.', {
    aliases: ['tls.server.certPath'],
  }),
  tlsServerKeyPath: text('', 'Private key of that certificate, PEM.', { aliases: ['tls.server.keyPath'] }),
  tlsServerKeyPassword: text('', 'Password of the private key.', {
    aliases: ['tls.server.keyPassword'],
    isSecret: true,
  }),
  tlsServerNeedClientAuth: choice(
    ['none', 'optional', 'require'],
    'none',
    'Asks TLS clients for a certificate; "require" lets nobody in without one.',
    { aliases: ['tls.server.need.client.auth'] },
  ),
  tlsServerAuthClient: flag(false, 'Checks the certificates of clients against tlsServerTrustCertPath.', {
    aliases: ['tls.server.authClient'],
  }),
  tlsServerTrustCertPath: text('', 'Certificates of those who sign for clients, PEM.', {
    aliases: ['tls.server.trustCertPath'],
  }),
  tlsEnable: flag(false, 'Connects to nameservers of other processes by TLS.', { aliases: ['tls.enable'] }),
  tlsClientAuthServer: flag(false, 'Checks their certificates.', { aliases: ['tls.client.authServer'] }),
  tlsClientTrustCertPath: text('', 'Certificates of those who sign for them, PEM; empty means those Node.js knows.', {
    aliases: ['tls.client.trustCertPath'],
  }),
  tlsClientCertPath: text('', 'Certificate to show them, PEM.', { aliases: ['tls.client.certPath'] }),
  tlsClientKeyPath: text('', 'Private key of that certificate, PEM.', { aliases: ['tls.client.keyPath'] }),
  tlsClientKeyPassword: text('', 'Password of that key.', { aliases: ['tls.client.keyPassword'], isSecret: true }),
} as const
