import { RequestCode, ResponseCode } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { createWorld, type World, type WorldOptions } from '../requests/control-world.js'

const update = (world: World, body: string, code: number = RequestCode.UPDATE_BROKER_CONFIG) =>
  world.ask(code, {}, { body })

async function shown(world: World, code: number = RequestCode.GET_BROKER_CONFIG): Promise<Record<string, string>> {
  const { body } = await world.ask(code)
  const lines = Buffer.from(body ?? '')
    .toString()
    .trimEnd()
    .split('\n')
  return Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

async function withWorld(options: WorldOptions, test: (world: World) => Promise<void>): Promise<World> {
  const world = await createWorld(options)
  try {
    await test(world)
  } finally {
    await world.stop()
  }
  return world
}

describe('UPDATE_BROKER_CONFIG', () => {
  it.each([
    // CVE-2023-33246: these became part of a shell command.
    'filterServerNums=1\nrocketmqHome=-c $@|sh . echo touch /tmp/owned;',
    // CVE-2023-37582: a path that the next update was written to.
    'configStorePath=/tmp/owned\nfileReservedTime=5',
    'brokerConfigPath=/tmp/owned',
    'configBlackList=nothing',
    'storePathRootDir=/tmp/owned',
    'storePathCommitLog=/tmp/owned',
    'bindAddress=0.0.0.0',
    'listenPort=1',
    'insecure=true',
    'namesrvAddr=192.0.2.1:9876',
    'aclEnable=false',
    'authenticationEnabled=false',
    'authorizationEnabled=false',
    'maxMessageSize=16777216',
    '__proto__=x',
    'constructor=x',
    'noSuchSetting=1',
  ])('refuses what is not on the list, and changes nothing: %j', async body => {
    await withWorld({}, async world => {
      const before = await shown(world)
      const reply = await update(world, `longPollingEnable=false\n${body}`)
      expect(reply.code).toBe(ResponseCode.NO_PERMISSION)
      expect(reply.remark).toContain(body.slice(0, body.indexOf('=')))
      expect(await shown(world)).toEqual(before)
    })
  })

  it.each([
    ['fileReservedTime=soon', 'fileReservedTime'],
    ['fileReservedTime=-1', 'fileReservedTime'],
    ['deleteWhen=25', 'deleteWhen'],
    ['longPollingEnable=perhaps', 'longPollingEnable'],
    ['brokerPermission=8', 'brokerPermission'],
  ])('refuses a bad value and names its key: %s', async (body, key) => {
    await withWorld({}, async world => {
      const before = await shown(world)
      const reply = await update(world, `traceOn=false\n${body}`)
      expect(reply).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: expect.stringContaining(key) as string })
      expect(await shown(world)).toEqual(before)
    })
  })

  it('shows what was changed, counts it, and keeps it over a restart', async () => {
    const { keyValue } = await withWorld({}, async world => {
      expect(await update(world, '# by mqadmin\nfileReservedTime = 48\ndeleteWhen:03;05\n')).toMatchObject({ code: 0 })
      expect(await shown(world)).toMatchObject({ fileReservedTime: '48', deleteWhen: '03;05' })
      const { extFields } = await world.ask(RequestCode.GET_BROKER_CONFIG)
      expect(JSON.parse(extFields?.['version'] ?? '')).toMatchObject({ counter: 2 })
    })
    await withWorld({ keyValue }, async world => {
      expect(world.config).toMatchObject({ fileReservedTime: 48, deleteWhen: '03;05' })
    })
    // Somebody has edited the configuration since: that counts, also with the runs that follow.
    await withWorld({ keyValue, broker: { fileReservedTime: 24 } }, async world => {
      expect(world.config).toMatchObject({ fileReservedTime: 24, deleteWhen: '03;05' })
    })
    await withWorld({ keyValue }, async world => {
      expect(world.config).toMatchObject({ fileReservedTime: 72, deleteWhen: '03;05' })
    })
  })

  it('takes an empty body for no change', async () => {
    await withWorld({}, async world => {
      expect(await update(world, '')).toMatchObject({ code: 0 })
      expect(await world.ask(RequestCode.UPDATE_BROKER_CONFIG)).toMatchObject({ code: 0 })
    })
  })
})

describe('UPDATE_NAMESRV_CONFIG', () => {
  const nameserver = RequestCode.UPDATE_NAMESRV_CONFIG

  it.each([
    'configStorePath=/tmp/owned',
    'kvConfigPath=/tmp/owned',
    'rocketmqHome=/tmp',
    'listenPort=1',
    'insecure=true',
  ])('refuses what is not on the list: %s', async body => {
    await withWorld({}, async world => {
      expect(await update(world, body, nameserver)).toMatchObject({
        code: ResponseCode.NO_PERMISSION,
        remark: expect.stringContaining(body.slice(0, body.indexOf('='))) as string,
      })
    })
  })

  it('changes what later answers depend on, also after a restart', async () => {
    const { keyValue } = await withWorld({}, async world => {
      expect(await update(world, 'enableTopicList=false', nameserver)).toMatchObject({ code: 0 })
      expect((await world.ask(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).code).toBe(ResponseCode.SYSTEM_ERROR)
      expect((await update(world, 'enableTopicList=7', nameserver)).code).toBe(ResponseCode.SYSTEM_ERROR)
    })
    await withWorld({ keyValue }, async world => {
      expect(await shown(world, RequestCode.GET_NAMESRV_CONFIG)).toMatchObject({ enableTopicList: 'false' })
    })
  })
})
