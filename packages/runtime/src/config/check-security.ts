import type { Credentials } from '@millrace/core'
import type { BrokerConfig } from './broker-settings.js'
import type { NameserverConfig } from './nameserver-settings.js'

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/

/** Request codes that change who may do what: never open to everybody. */
const USER_CODES = { first: 3001, last: 3010 }

/** What is wrong with the listener and with the switches of security, as sentences. */
export function checkSecurity(config: NameserverConfig | BrokerConfig): string[] {
  return [...checkListener(config), ...checkSwitches(config), ...checkTls(config), ...checkTexts(config)]
}

function checkListener(config: NameserverConfig | BrokerConfig): string[] {
  const needsCertificate = config.tlsServerMode === 'enforcing' && config.tlsServerNeedClientAuth === 'require'
  const isGuarded = config.authenticationEnabled || config.aclEnable || needsCertificate
  if (config.insecure || isGuarded || LOOPBACK.test(config.bindAddress)) return []
  return [
    `bindAddress "${config.bindAddress}" would let anyone on the network in, as authentication is off; keep 127.0.0.1, ` +
      'set authenticationEnabled=true with initAuthenticationUser, or set insecure=true (--insecure) on a network you trust',
  ]
}

function checkSwitches(config: NameserverConfig | BrokerConfig): string[] {
  const problems: string[] = []
  if (config.authorizationEnabled && !config.authenticationEnabled)
    problems.push(
      'authorizationEnabled=true without authenticationEnabled=true would believe any access key a client claims; switch both on',
    )
  if (config.aclEnable && config.authenticationEnabled)
    problems.push(
      'aclEnable=true and authenticationEnabled=true are two ways to say who may do what; keep one (migrateAuthFromV1Enabled=true takes the accounts of aclFile over)',
    )
  if (config.migrateAuthFromV1Enabled && !config.authenticationEnabled)
    problems.push(
      'migrateAuthFromV1Enabled=true creates users that nobody asks for; set authenticationEnabled=true too',
    )
  return problems
}

function checkTls(config: NameserverConfig | BrokerConfig): string[] {
  const problems: string[] = []
  const hasCertificate = config.tlsServerCertPath !== ''
  if (hasCertificate !== (config.tlsServerKeyPath !== ''))
    problems.push('tlsServerCertPath and tlsServerKeyPath go together; set both')
  if (config.tlsServerMode === 'enforcing' && !hasCertificate && !config.tlsTestModeEnable)
    problems.push('tlsServerMode=enforcing needs a certificate: set tlsServerCertPath and tlsServerKeyPath')
  if (config.tlsServerNeedClientAuth === 'none') return problems
  if (!config.tlsServerAuthClient || config.tlsServerTrustCertPath === '' || !hasCertificate)
    problems.push(
      `tlsServerNeedClientAuth=${config.tlsServerNeedClientAuth} without checking is no authentication; set tlsServerAuthClient=true, tlsServerTrustCertPath, tlsServerCertPath and tlsServerKeyPath`,
    )
  return problems
}

function checkTexts(config: NameserverConfig | BrokerConfig): string[] {
  const problems: string[] = []
  for (const [name, fields] of [
    ['initAuthenticationUser', ['username', 'password']],
    ['innerClientAuthenticationCredentials', ['accessKey', 'secretKey']],
  ] as const)
    if (config[name] !== '' && jsonTexts(config[name], fields) === undefined)
      problems.push(`${name} is ***; expected JSON with ${fields.map(field => `"${field}"`).join(' and ')}`)
  for (const name of ['authenticationWhitelist', 'authorizationWhitelist'] as const)
    if ([...requestCodes(config[name])].some(code => code >= USER_CODES.first && code <= USER_CODES.last))
      problems.push(
        `${name} holds a code from ${USER_CODES.first} to ${USER_CODES.last}: it would let anybody make users`,
      )
  return problems
}

/** The named members of a JSON object, when all of them are texts that are not empty. */
export function jsonTexts<const F extends string>(
  json: string,
  fields: readonly F[],
): Readonly<Record<F, string>> | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // Not JSON: the caller says what was expected.
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const members = value as Readonly<Record<string, unknown>>
  const isComplete = fields.every(field => typeof members[field] === 'string' && members[field] !== '')
  return isComplete ? (members as Readonly<Record<F, string>>) : undefined
}

/** `105, 106` → the numbers. */
export function requestCodes(list: string): ReadonlySet<number> {
  return new Set(
    list
      .split(',')
      .filter(text => text.trim() !== '')
      .map(Number),
  )
}

/** What a client in the same process signs with: the broker's own credentials, or else the first user's. */
export function ownCredentials(config: NameserverConfig | BrokerConfig): Credentials | undefined {
  const inner = jsonTexts(config.innerClientAuthenticationCredentials, ['accessKey', 'secretKey'])
  if (inner) return inner
  const first = jsonTexts(config.initAuthenticationUser, ['username', 'password'])
  return first && { accessKey: first.username, secretKey: first.password }
}
