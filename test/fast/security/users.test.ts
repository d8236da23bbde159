import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { RequestCode, ResponseCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADMIN, allow, createUser, type RawClient, SECURED, startWith, type TestService } from './support.js'

const NO_PERMISSION = { code: ResponseCode.NO_PERMISSION }
const OK = { code: ResponseCode.SUCCESS }

let world: TestService
let client: RawClient

beforeAll(async () => {
  world = await startWith(SECURED)
  client = await world.client()
  for (const topic of ['orders', 'payments'])
    await client.call(
      RequestCode.UPDATE_AND_CREATE_TOPIC,
      {
        topic,
        defaultTopic: 'TBW102',
        readQueueNums: '1',
        writeQueueNums: '1',
        perm: '6',
        topicFilterType: 'SINGLE_TAG',
        topicSysFlag: '0',
        order: 'false',
      },
      { as: ADMIN },
    )
})
afterAll(() => world.stop())

describe('who it is', () => {
  it('refuses what is not signed, signed by nobody known, or signed wrongly', async () => {
    expect(await client.send('orders')).toMatchObject({ ...NO_PERMISSION, remark: 'username cannot be null.' })
    expect(await client.send('orders', { accessKey: 'nobody', secretKey: 'x' })).toMatchObject({
      ...NO_PERMISSION,
      remark: 'User:nobody is not found.',
    })
    expect(await client.send('orders', { ...ADMIN, secretKey: 'wrong' })).toMatchObject({
      ...NO_PERMISSION,
      remark: 'check signature failed.',
    })
  })

  it('serves what is signed, in both header formats, with and without a security token', async () => {
    expect(await client.send('orders', ADMIN)).toMatchObject(OK)
    expect(await client.send('orders', { ...ADMIN, securityToken: 'a token' })).toMatchObject(OK)
    const pulled = await client.pull('orders', 'readers', ADMIN)
    expect(pulled).toMatchObject(OK)
    const stats = await client.call(
      RequestCode.GET_MAX_OFFSET,
      { topic: 'orders', queueId: '0' },
      { as: ADMIN, serialization: 'ROCKETMQ' },
    )
    expect(stats).toMatchObject({ ...OK, extFields: { offset: '2' } })
  })

  it('refuses a request whose body or field was changed after signing', async () => {
    const { extFields } = { extFields: { topic: 'orders', queueId: '0' } }
    const signed = (await import('@millrace/core')).signedFields(ADMIN, extFields, undefined)
    expect(await client.call(RequestCode.GET_MAX_OFFSET, { ...signed, topic: 'payments' })).toMatchObject(NO_PERMISSION)
    expect(await client.call(RequestCode.GET_MAX_OFFSET, signed, { body: 'x' })).toMatchObject(NO_PERMISSION)
    expect(await client.call(RequestCode.GET_MAX_OFFSET, signed)).toMatchObject(OK)
  })

  it('asks for a signature on the nameserver too', async () => {
    expect(await client.call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'orders' })).toMatchObject(NO_PERMISSION)
    expect(await client.call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'orders' }, { as: ADMIN })).toMatchObject(OK)
  })

  it('lets a disabled user do nothing, and an enabled one again', async () => {
    const user = await createUser(client, 'sleeper', { 'Topic:orders': 'Pub' })
    const update = (body: object) =>
      client.call(RequestCode.AUTH_UPDATE_USER, { username: 'sleeper' }, { as: ADMIN, body: JSON.stringify(body) })
    expect(await client.send('orders', user)).toMatchObject(OK)
    expect(await update({ userStatus: 'disable' })).toMatchObject(OK)
    expect(await client.send('orders', user)).toMatchObject({ ...NO_PERMISSION, remark: 'User:sleeper is disabled.' })
    expect(await update({ userStatus: 'enable', password: 'changed' })).toMatchObject(OK)
    expect(await client.send('orders', user)).toMatchObject(NO_PERMISSION)
    expect(await client.send('orders', { ...user, secretKey: 'changed' })).toMatchObject(OK)
  })
})

describe('what they may do', () => {
  it('needs Pub to send, Sub of topic and group to pull', async () => {
    const user = await createUser(client, 'writer', { 'Topic:orders': 'Pub', 'Group:readers': 'Sub' })
    expect(await client.send('orders', user)).toMatchObject(OK)
    expect(await client.send('payments', user)).toMatchObject({
      ...NO_PERMISSION,
      remark: expect.stringContaining('User:writer has no permission to access Topic:payments from'),
    })
    expect(await client.pull('orders', 'readers', user)).toMatchObject(NO_PERMISSION)
    await allow(client, 'writer', { 'Topic:orders': 'Pub,Sub' })
    expect(await client.pull('orders', 'readers', user)).toMatchObject(OK)
    expect(await client.pull('orders', 'others', user)).toMatchObject(NO_PERMISSION)
  })

  it('looks at the topic under every name that a send may carry it', async () => {
    const user = await createUser(client, 'trickster', { 'Topic:orders': 'Pub' })
    expect(await client.send('orders', user, { topic: 'payments' })).toMatchObject(NO_PERMISSION)
    expect(await client.send('payments', user, { topic: 'orders' })).toMatchObject(NO_PERMISSION)
  })

  it('takes a send to the retries of a group as access to that group, whoever it claims to be', async () => {
    const user = await createUser(client, 'retrier', { 'Topic:*': 'Pub', 'Group:mine': 'Sub' })
    expect(await client.send('%RETRY%theirs', user, { a: 'mine' })).toMatchObject(NO_PERMISSION)
    expect(await client.send('%RETRY%mine', user)).not.toMatchObject(NO_PERMISSION)
  })

  it('keeps administration to those who have it', async () => {
    const user = await createUser(client, 'plain', { 'Topic:*': 'All', 'Group:*': 'All' })
    for (const code of [
      RequestCode.UPDATE_BROKER_CONFIG,
      RequestCode.GET_BROKER_CONFIG,
      RequestCode.GET_BROKER_RUNTIME_INFO,
      RequestCode.WIPE_WRITE_PERM_OF_BROKER,
      RequestCode.AUTH_LIST_USER,
      RequestCode.AUTH_CREATE_USER,
      RequestCode.GET_ALL_TOPIC_CONFIG,
      98765,
    ])
      expect([code, (await client.call(code, {}, { as: user, body: '{}' })).code]).toEqual([code, 16])
    await allow(client, 'plain', { 'Cluster:DefaultCluster': 'Get' })
    expect(await client.call(RequestCode.GET_BROKER_CONFIG, {}, { as: user })).toMatchObject(OK)
    expect(await client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, { as: user })).toMatchObject(NO_PERMISSION)
  })

  it('lets only super users make super users and say what others may do', async () => {
    const user = await createUser(client, 'deputy', { '*': 'All' })
    const make = (name: string, userType: string) =>
      client.call(
        RequestCode.AUTH_CREATE_USER,
        { username: name },
        { as: user, body: JSON.stringify({ username: name, password: 'p', userType }) },
      )
    expect(await make('usual', 'Normal')).toMatchObject(OK)
    expect(await make('king', 'Super')).toMatchObject({ code: 1 })
    const grant = { policies: [{ entries: [{ resource: '*', actions: ['All'], decision: 'Allow' }] }] }
    expect(
      await client.call(
        RequestCode.AUTH_CREATE_ACL,
        { subject: 'User:usual' },
        { as: user, body: JSON.stringify(grant) },
      ),
    ).toMatchObject({ code: 1 })
    for (const body of [{ password: 'taken over' }, { userStatus: 'disable' }])
      expect(
        await client.call(
          RequestCode.AUTH_UPDATE_USER,
          { username: 'admin' },
          { as: user, body: JSON.stringify(body) },
        ),
      ).toMatchObject({ code: 1 })
    expect(await client.call(RequestCode.AUTH_DELETE_USER, { username: 'admin' }, { as: user })).toMatchObject({
      code: 1,
    })
  })

  it('keeps the last super user', async () => {
    const change = (code: number, body?: object) =>
      client.call(code, { username: 'admin' }, { as: ADMIN, ...(body && { body: JSON.stringify(body) }) })
    expect(await change(RequestCode.AUTH_DELETE_USER)).toMatchObject(NO_PERMISSION)
    expect(await change(RequestCode.AUTH_UPDATE_USER, { userStatus: 'disable' })).toMatchObject(NO_PERMISSION)
    expect(await change(RequestCode.AUTH_UPDATE_USER, { userType: 'Normal' })).toMatchObject(NO_PERMISSION)
  })
})

describe('users and policies as administrators see them', () => {
  it('lists, shows and deletes; never a password', async () => {
    await createUser(client, 'shown', { 'Topic:a*': 'Sub', 'Group:g': '!Sub' })
    const shown = await client.call(RequestCode.AUTH_GET_USER, { username: 'shown' }, { as: ADMIN })
    expect(JSON.parse(String(shown.body))).toEqual({ username: 'shown', userType: 'Normal', userStatus: 'enable' })
    const listed = await client.call(RequestCode.AUTH_LIST_USER, { filter: 'sho' }, { as: ADMIN })
    expect(JSON.parse(String(listed.body))).toEqual([JSON.parse(String(shown.body))])
    const acl = await client.call(RequestCode.AUTH_GET_ACL, { subject: 'User:shown' }, { as: ADMIN })
    expect(JSON.parse(String(acl.body))).toEqual({
      subject: 'User:shown',
      policies: [
        {
          policyType: 'Custom',
          entries: [
            { resource: 'Topic:a*', actions: ['Sub'], decision: 'Allow' },
            { resource: 'Group:g', actions: ['Sub'], decision: 'Deny' },
          ],
        },
      ],
    })
    const fields = { subject: 'User:shown', policyType: 'Custom', resource: 'Topic:a*' }
    expect(await client.call(RequestCode.AUTH_DELETE_ACL, fields, { as: ADMIN })).toMatchObject(OK)
    const acls = await client.call(
      RequestCode.AUTH_LIST_ACL,
      { subjectFilter: 'shown', resourceFilter: 'Group' },
      { as: ADMIN },
    )
    expect(JSON.parse(String(acls.body))).toMatchObject([{ policies: [{ entries: [{ resource: 'Group:g' }] }] }])
    expect(await client.call(RequestCode.AUTH_DELETE_USER, { username: 'shown' }, { as: ADMIN })).toMatchObject(OK)
    const gone = await client.call(RequestCode.AUTH_GET_USER, { username: 'shown' }, { as: ADMIN })
    expect(gone).toMatchObject({ ...OK, body: undefined })
    expect(await client.call(RequestCode.AUTH_GET_ACL, { subject: 'User:shown' }, { as: ADMIN })).toMatchObject(
      NO_PERMISSION,
    )
  })

  it.each([
    [{ resource: 'Nothing:x', actions: ['Pub'], decision: 'Allow' }, 'The resource is null.'],
    [{ resource: 'Topic:x', actions: [], decision: 'Allow' }, 'The actions is empty.'],
    [{ resource: 'Topic:x', actions: ['Any'], decision: 'Allow' }, 'The actions can not be Any.'],
    [{ resource: 'Topic:x', actions: ['Pub'], decision: 'Perhaps' }, 'The decision is null or illegal.'],
    [
      { resource: 'Topic:x', actions: ['Pub'], sourceIps: ['10.0.0.0/99'], decision: 'Allow' },
      'The source ip is invalid.',
    ],
  ])('refuses the policy entry %j', async (entry, remark) => {
    const body = JSON.stringify({ subject: 'User:admin', policies: [{ entries: [entry] }] })
    expect(
      await client.call(RequestCode.AUTH_CREATE_ACL, { subject: 'User:admin' }, { as: ADMIN, body }),
    ).toMatchObject({ ...NO_PERMISSION, remark })
  })

  it('takes no user twice, none without a name or password', async () => {
    const make = (username: string, body: object) =>
      client.call(RequestCode.AUTH_CREATE_USER, { username }, { as: ADMIN, body: JSON.stringify(body) })
    expect(await make('admin', { password: 'x' })).toMatchObject({ ...NO_PERMISSION, remark: 'The user is existed' })
    expect(await make('empty', {})).toMatchObject({ ...NO_PERMISSION, remark: 'password can not be blank' })
    expect(await make('', { password: 'x' })).toMatchObject({ code: ResponseCode.INVALID_PARAMETER })
  })
})

it('keeps users across a restart, with no secret readable in the store', async () => {
  await createUser(client, 'lasting', { 'Topic:orders': 'Pub' })
  await world.restart({ ...SECURED, initAuthenticationUser: '' })
  client = await world.client()
  const user = { accessKey: 'lasting', secretKey: 'the-secret-of-lasting' }
  expect(await client.send('orders', user)).toMatchObject(OK)
  expect(await client.send('payments', user)).toMatchObject(NO_PERMISSION)
  await world.service.stop()
  const key = join(world.directory, 'security.key')
  expect(statSync(key).mode & 0o777).toBe(0o600)
  const files = readdirSync(world.directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const metadata = files.filter(file => file.parentPath.includes('metadata'))
  expect(metadata.length).toBeGreaterThan(0)
  for (const file of metadata) {
    const content = readFileSync(join(file.parentPath, file.name)).toString('latin1')
    expect(content.includes('the-secret-of')).toBe(false)
  }
  rmSync(key)
  await expect(world.restart(SECURED)).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining('security.key'),
  })
})
