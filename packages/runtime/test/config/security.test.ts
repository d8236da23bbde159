import { expect, it } from 'vitest'
import { brokerConfig, configTable, loadConfig, nameserverConfig } from '../../src/config/index.js'

const USER = '{"username":"admin","password":"12345678"}'

it.each([
  [{ authorizationEnabled: true }, 'without authenticationEnabled=true would believe any access key'],
  [{ aclEnable: true, authenticationEnabled: true }, 'keep one'],
  [{ migrateAuthFromV1Enabled: true }, 'set authenticationEnabled=true too'],
  [{ initAuthenticationUser: 'admin' }, 'initAuthenticationUser is ***; expected JSON with "username" and "password"'],
  [{ innerClientAuthenticationCredentials: '{"accessKey":""}' }, 'expected JSON with "accessKey" and "secretKey"'],
  [{ authenticationWhitelist: '105,3001' }, 'it would let anybody make users'],
  [{ bindAddress: '0.0.0.0' }, 'would let anyone on the network in'],
  [{ bindAddress: '::', authorizationEnabled: false }, 'would let anyone on the network in'],
])('refuses %j', (settings, sentence) => {
  expect(() => brokerConfig(settings)).toThrow(sentence)
  expect(() => nameserverConfig(settings)).toThrow(sentence)
})

it('binds beyond loopback with authentication, with ACL 1.0, or when told that it is insecure', () => {
  for (const settings of [{ authenticationEnabled: true }, { aclEnable: true }, { insecure: true }])
    expect(brokerConfig({ bindAddress: '0.0.0.0', ...settings }).bindAddress).toBe('0.0.0.0')
})

it('shows no secret', () => {
  const settings = {
    initAuthenticationUser: USER,
    innerClientAuthenticationCredentials: '{"accessKey":"aaaa","secretKey":"bbbb"}',
  }
  const flags = Object.entries(settings).map(([key, value]) => ({ key, value, origin: 'test' }))
  const text = JSON.stringify(configTable(loadConfig({ flags })))
  for (const secret of ['12345678', 'aaaa', 'bbbb']) expect(text).not.toContain(secret)
})
