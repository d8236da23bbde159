import { createPrivateKey, X509Certificate } from 'node:crypto'
import { type Environment, MillraceError, type TlsClient, type TlsServer, type TlsServerIdentity } from '@millrace/core'
import type { BrokerConfig, NameserverConfig } from '../config/index.js'
import { readWhole, watchFiles } from './file-watch.js'

type Config = BrokerConfig | NameserverConfig

export interface ServerTls {
  /** Undefined: no TLS. */
  readonly server: TlsServer | undefined
  close(): void
}

/**
 * TLS as the settings ask for it. Changed files count for the connections that begin after it was noticed; what cannot
 * be used is reported, and the old certificate goes on.
 * @throws MillraceError INVALID_CONFIG when a file is missing or a key does not belong to its certificate
 */
export function openTls(
  config: Config,
  environment: Environment,
  onProblem: (error: MillraceError) => void,
): ServerTls {
  const mode = config.tlsServerMode
  if (mode === 'disabled') return { server: undefined, close: () => undefined }
  if (config.tlsServerCertPath === '') {
    // checkSecurity has seen to it that a certificate of our own making is wanted when TLS is a must.
    const server = config.tlsTestModeEnable ? ({ mode, identity: () => undefined } as const) : undefined
    return { server, close: () => undefined }
  }
  let identity = readIdentity(config, environment)
  const paths = [config.tlsServerCertPath, config.tlsServerKeyPath, config.tlsServerTrustCertPath]
  const close = watchFiles(
    environment,
    paths.filter(path => path !== ''),
    () => {
      try {
        identity = readIdentity(config, environment)
      } catch (error) {
        onProblem(error as MillraceError)
      }
    },
  )
  return { server: { mode, identity: () => identity }, close }
}

const CLIENT_CERTIFICATE = { none: 'none', optional: 'optional', require: 'required' } as const

function readIdentity(config: Config, environment: Environment): TlsServerIdentity {
  const certificate = readPem(environment, 'tlsServerCertPath', config.tlsServerCertPath)
  const key = readPem(environment, 'tlsServerKeyPath', config.tlsServerKeyPath)
  const passphrase = config.tlsServerKeyPassword === '' ? undefined : config.tlsServerKeyPassword
  const fail = (what: string, cause?: unknown): MillraceError =>
    new MillraceError(
      'INVALID_CONFIG',
      `${what}; correct tlsServerCertPath, tlsServerKeyPath or tlsServerKeyPassword`,
      {
        cause,
      },
    )
  let isPair: boolean
  try {
    isPair = new X509Certificate(certificate).checkPrivateKey(
      createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) }),
    )
  } catch (cause) {
    throw fail(`the certificate "${config.tlsServerCertPath}" or its key cannot be used: ${String(cause)}`, cause)
  }
  if (!isPair) throw fail(`"${config.tlsServerKeyPath}" is not the key of certificate "${config.tlsServerCertPath}"`)
  const { tlsServerAuthClient: isChecked, tlsServerTrustCertPath: trusted } = config
  return {
    certificate,
    key,
    passphrase,
    clientCertificate: isChecked ? CLIENT_CERTIFICATE[config.tlsServerNeedClientAuth] : 'none',
    authorities: isChecked && trusted !== '' ? readPem(environment, 'tlsServerTrustCertPath', trusted) : undefined,
  }
}

/**
 * How this process connects to nameservers elsewhere; undefined: without TLS.
 * @throws MillraceError INVALID_CONFIG when a file is missing
 */
export function clientTls(config: Config, environment: Environment): TlsClient | undefined {
  if (!config.tlsEnable) return undefined
  const pem = (name: 'tlsClientTrustCertPath' | 'tlsClientCertPath' | 'tlsClientKeyPath'): Buffer | undefined =>
    config[name] === '' ? undefined : readPem(environment, name, config[name])
  return {
    isChecked: config.tlsClientAuthServer,
    authorities: pem('tlsClientTrustCertPath'),
    certificate: pem('tlsClientCertPath'),
    key: pem('tlsClientKeyPath'),
    passphrase: config.tlsClientKeyPassword === '' ? undefined : config.tlsClientKeyPassword,
  }
}

function readPem({ disk }: Environment, name: string, path: string): Buffer {
  let content: Buffer | undefined
  try {
    content = readWhole(disk, path)
  } catch (cause) {
    throw new MillraceError('INVALID_CONFIG', `${name}: "${path}" cannot be read: ${String(cause)}`, { cause })
  }
  if (content === undefined) throw new MillraceError('INVALID_CONFIG', `${name}: there is no file "${path}"`)
  return content
}
