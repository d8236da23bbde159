import { MillraceError } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import {
  brokerConfig,
  type ConfigSources,
  configTable,
  loadConfig,
  nameserverConfig,
  settingDocs,
} from '../../src/config/index.js'

function problemsOf(sources: ConfigSources): string {
  try {
    loadConfig(sources)
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    expect((error as MillraceError).code).toBe('INVALID_CONFIG')
    return (error as MillraceError).message
  }
  throw new Error('the configuration was accepted')
}

describe('loadConfig', () => {
  it('has safe defaults: sync flush, loopback only, RocketMQ ports', () => {
    const { broker, nameserver, warnings } = loadConfig()
    expect(broker).toMatchObject({
      flushDiskType: 'SYNC_FLUSH',
      bindAddress: '127.0.0.1',
      listenPort: 10911,
      brokerIP1: '',
    })
    expect(broker.mapedFileSizeCommitLog).toBe(1024 ** 3)
    expect(nameserver).toMatchObject({ listenPort: 9876, bindAddress: '127.0.0.1' })
    expect(warnings).toEqual([])
  })

  it('prefers flags to environment to file to default, and knows which it was', () => {
    const entry = (value: string, origin: string) => [{ key: 'fileReservedTime', value, origin }]
    const file = entry('1', 'broker.conf:1')
    const environment = { MILLRACE_FILE_RESERVED_TIME: '2' }
    const flags = entry('3', '--set')
    const seen = [{}, { file }, { file, environment }, { file, environment, flags }].map(sources => {
      const config = loadConfig(sources)
      return [config.broker.fileReservedTime, config.origins.broker['fileReservedTime']]
    })
    expect(seen).toEqual([
      [72, 'default'],
      [1, 'broker.conf:1'],
      [2, 'MILLRACE_FILE_RESERVED_TIME'],
      [3, '--set'],
    ])
  })

  it('refuses an unknown key, says where it is and what was probably meant', () => {
    const file = [{ key: 'flushDiskTyp', value: 'SYNC_FLUSH', origin: 'broker.conf:7' }]
    expect(problemsOf({ file })).toBe('unknown key "flushDiskTyp" (broker.conf:7); did you mean "flushDiskType"?')
  })

  it('names key, value, place and what was expected of a bad value, all in one error', () => {
    const file = [
      { key: 'listenPort', value: '99999', origin: 'broker.conf:1' },
      { key: 'flushDiskType', value: 'FLUSH', origin: 'broker.conf:2' },
      { key: 'autoCreateTopicEnable', value: 'maybe', origin: 'broker.conf:3' },
    ]
    expect(problemsOf({ file }).split('\n')).toEqual([
      'listenPort is "99999" (broker.conf:1); expected a whole number from 0 to 65535',
      'autoCreateTopicEnable is "maybe" (broker.conf:3); expected true or false',
      'flushDiskType is "FLUSH" (broker.conf:2); expected SYNC_FLUSH or ASYNC_FLUSH',
    ])
  })

  it('takes RocketMQ properties that have no effect here with one warning', () => {
    const file = ['haListenPort', 'sendMessageThreadPoolNums'].map((key, index) => ({
      key,
      value: '1',
      origin: `broker.conf:${index + 1}`,
    }))
    const { warnings } = loadConfig({ file })
    expect(warnings).toEqual([
      'RocketMQ properties without effect here: haListenPort (broker.conf:1), sendMessageThreadPoolNums (broker.conf:2)',
    ])
  })

  it('warns of an environment variable that looks like ours and is not', () => {
    expect(loadConfig({ environment: { MILLRACE_LISTEN_PROT: '1' } }).warnings).toEqual([
      'environment variable MILLRACE_LISTEN_PROT is not a setting; did you mean "MILLRACE_LISTEN_PORT"?',
    ])
  })

  it('gives listenPort to the broker, or to the nameserver when it is alone, or to the role in front', () => {
    const flags = [{ key: 'listenPort', value: '1', origin: '--set' }]
    expect(loadConfig({ flags }).broker.listenPort).toBe(1)
    expect(loadConfig({ flags }).nameserver.listenPort).toBe(9876)
    expect(loadConfig({ flags, roles: ['nameserver'] }).nameserver.listenPort).toBe(1)
    const qualified = [{ key: 'nameserver.listenPort', value: '2', origin: '--set' }]
    expect(loadConfig({ flags: qualified }).nameserver.listenPort).toBe(2)
    expect(loadConfig({ environment: { MILLRACE_NAMESERVER_LISTEN_PORT: '3' } }).nameserver.listenPort).toBe(3)
  })

  it('gives what both roles have to both, under any of its names', () => {
    const { broker, nameserver } = loadConfig({ flags: [{ key: 'dataDir', value: '/tmp/x', origin: '--data' }] })
    expect([broker.storePathRootDir, nameserver.storePathRootDir]).toEqual(['/tmp/x', '/tmp/x'])
  })

  it('refuses to listen beyond loopback without authentication unless told so', () => {
    const open = { key: 'bindAddress', value: '0.0.0.0', origin: '--bind' }
    expect(problemsOf({ flags: [open] })).toContain('--insecure')
    const flags = [open, { key: 'insecure', value: true, origin: '--insecure' }]
    expect(loadConfig({ flags }).broker.bindAddress).toBe('0.0.0.0')
    for (const bindAddress of ['localhost', '127.0.0.5', '::1'])
      expect(brokerConfig({ bindAddress }).bindAddress).toBe(bindAddress)
  })

  it('takes sizes with binary units, and hours with a leading zero', () => {
    const file = [
      { key: 'ringBytes', value: '64 MiB', origin: 'f:1' },
      { key: 'mapedFileSizeCommitLog', value: '512m', origin: 'f:2' },
      { key: 'fileReservedTime', value: '048', origin: 'f:3' },
    ]
    const { broker } = loadConfig({ file })
    expect([broker.ringBytes, broker.mapedFileSizeCommitLog, broker.fileReservedTime]).toEqual([2 ** 26, 2 ** 29, 48])
  })

  it('checks limits against each other', () => {
    const flags = [{ key: 'mapedFileSizeCommitLog', value: '1MiB', origin: '--set' }]
    expect(problemsOf({ flags })).toMatch(
      /mapedFileSizeCommitLog is 1048576; with maxMessageSize 4194304 it must be at least/,
    )
  })

  it('reads the nameserver address of RocketMQ tools from their variable', () => {
    expect(loadConfig({ environment: { NAMESRV_ADDR: 'a:1;b:2' } }).broker.namesrvAddr).toBe('a:1;b:2')
    expect(problemsOf({ environment: { NAMESRV_ADDR: 'nonsense' } })).toContain('expected HOST:PORT')
  })

  it('makes checked configurations for code', () => {
    expect(brokerConfig({ listenPort: 0 }).listenPort).toBe(0)
    expect(nameserverConfig({ listenPort: 0 }).listenPort).toBe(0)
    expect(() => brokerConfig({ listenPort: -1 })).toThrow(/listenPort/)
  })
})

describe('configTable', () => {
  it('lists each value of the running roles with its origin', () => {
    const flags = [{ key: 'flushDiskType', value: 'ASYNC_FLUSH', origin: '--flush' }]
    const rows = configTable(loadConfig({ flags, roles: ['broker'] }))
    expect(rows.find(row => row.key === 'flushDiskType')).toMatchObject({ value: 'ASYNC_FLUSH', origin: '--flush' })
    expect(rows.some(row => row.key.startsWith('nameserver.'))).toBe(false)
  })
})

describe('settingDocs', () => {
  it('explains every setting by a sentence and names its variable', () => {
    for (const { key, doc, environment } of settingDocs()) {
      expect(doc, key).toMatch(/^[A-Z].*[.]$/s)
      expect(environment, key).toMatch(/^MILLRACE_[A-Z0-9_]+$/)
    }
    expect(settingDocs().find(({ key }) => key === 'brokerIP1')?.environment).toBe('MILLRACE_BROKER_IP1')
  })
})
