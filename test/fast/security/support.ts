import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Credentials,
  decodeFrame,
  type Environment,
  encodeRequest,
  FrameReader,
  formatProperties,
  memoryNet,
  type NetConnection,
  parseAddress,
  type RemotingCommand,
  RequestCode,
  type Serialization,
  signedFields,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { type Service, type ServiceNotices, startService } from '@millrace/runtime'
import { type ConfigEntry, loadConfig } from '@millrace/runtime/config'

/** Speaks frames, and whatever else a test wants to put on the wire. */
export class RawClient {
  readonly #waiting = new Map<number, (answer: RemotingCommand) => void>()
  readonly #reader = new FrameReader()
  #opaque = 0
  isClosed = false

  constructor(readonly net: NetConnection) {
    net.start({
      data: chunk => {
        this.#reader.feed(chunk)
        while (this.#reader.next()) {
          const { buffer, start, end } = this.#reader
          const decoded = decodeFrame(Buffer.from(buffer.subarray(start, end)), 0, end - start)
          if (decoded.ok) this.#waiting.get(decoded.command.opaque)?.(decoded.command)
        }
      },
      drain: () => undefined,
      close: () => {
        this.isClosed = true
      },
    })
  }

  call(
    code: number,
    fields: Record<string, string> = {},
    options: { as?: Credentials | undefined; body?: string; serialization?: Serialization } = {},
  ): Promise<RemotingCommand> {
    const opaque = ++this.#opaque
    const body = options.body === undefined ? undefined : Buffer.from(options.body)
    const extFields = options.as ? signedFields(options.as, fields, body) : fields
    return this.exchange(opaque, encodeRequest({ code, opaque, extFields, body, serialization: options.serialization }))
  }

  /** Writes `frame` and resolves with the answer to `opaque`. */
  exchange(opaque: number, frame: Uint8Array): Promise<RemotingCommand> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${opaque}`)), 8000)
      this.#waiting.set(opaque, answer => {
        clearTimeout(timer)
        resolve(answer)
      })
      this.net.write(frame)
    })
  }

  send(topic: string, as?: Credentials, extra: Record<string, string> = {}): Promise<RemotingCommand> {
    return this.call(RequestCode.SEND_MESSAGE_V2, { ...sendFields(topic), ...extra }, { as, body: 'hello' })
  }

  pull(topic: string, group: string, as?: Credentials): Promise<RemotingCommand> {
    const fields = {
      consumerGroup: group,
      topic,
      queueId: '0',
      queueOffset: '0',
      maxMsgNums: '32',
      sysFlag: '4',
      commitOffset: '0',
      suspendTimeoutMillis: '0',
      subscription: '*',
      subVersion: '1',
      expressionType: 'TAG',
    }
    return this.call(RequestCode.PULL_MESSAGE, fields, { as })
  }
}

export function sendFields(topic: string): Record<string, string> {
  return {
    a: 'producers',
    b: topic,
    c: 'TBW102',
    d: '4',
    e: '0',
    f: '0',
    g: '1700000000000',
    h: '0',
    i: formatProperties({ UNIQ_KEY: 'U1' }),
    j: '0',
    k: 'false',
    m: 'false',
  }
}

export interface TestService {
  readonly service: Service
  readonly directory: string
  readonly environment: Environment
  client(): Promise<RawClient>
  /** The same directory again, with these settings. */
  restart(settings: Record<string, unknown>): Promise<void>
  stop(): Promise<void>
}

/** A nameserver and broker in this process; without sockets unless `sockets` is set. */
export async function startWith(
  settings: Record<string, unknown>,
  options: { sockets?: boolean; directory?: string } & ServiceNotices = {},
): Promise<TestService> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'millrace-security-'))
  const real = nodeEnvironment()
  const environment = options.sockets ? real : { ...real, net: memoryNet(real.scheduler) }
  const start = (values: Record<string, unknown>): Promise<Service> => {
    const entries: ConfigEntry[] = Object.entries({
      storePathRootDir: directory,
      'nameserver.listenPort': 0,
      'broker.listenPort': 0,
      flushDiskType: 'ASYNC_FLUSH',
      mapedFileSizeCommitLog: 32 * 2 ** 20,
      ...values,
    }).map(([key, value]) => ({ key, value, origin: 'test' }))
    return startService(loadConfig({ flags: entries }), environment, options)
  }
  let service = await start(settings)
  return {
    get service() {
      return service
    },
    directory,
    environment,
    async client() {
      const address = parseAddress(service.addresses.broker!)!
      return new RawClient(await environment.net.connect(address))
    },
    async restart(values) {
      await service.stop()
      service = await start(values)
    },
    async stop() {
      await service.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export const ADMIN: Credentials = { accessKey: 'admin', secretKey: 'the-secret-of-admin' }

/** Settings of a broker whose only user is ADMIN. */
export const SECURED = {
  authenticationEnabled: true,
  authorizationEnabled: true,
  initAuthenticationUser: JSON.stringify({ username: ADMIN.accessKey, password: ADMIN.secretKey }),
}

/** Creates a user, and lets it do `entries`: resource → actions, "!" in front denies. */
export async function createUser(
  client: RawClient,
  name: string,
  entries: Record<string, string> = {},
): Promise<Credentials> {
  const user = { accessKey: name, secretKey: `the-secret-of-${name}` }
  const made = await client.call(
    RequestCode.AUTH_CREATE_USER,
    { username: name },
    { as: ADMIN, body: JSON.stringify({ username: name, password: user.secretKey, userType: 'Normal' }) },
  )
  if (made.code !== 0) throw new Error(`cannot create ${name}: ${made.remark}`)
  if (Object.keys(entries).length > 0) await allow(client, name, entries)
  return user
}

export async function allow(client: RawClient, name: string, entries: Record<string, string>): Promise<void> {
  const policy = {
    policyType: 'Custom',
    entries: Object.entries(entries).map(([resource, actions]) => ({
      resource,
      actions: actions.replace('!', '').split(','),
      decision: actions.startsWith('!') ? 'Deny' : 'Allow',
    })),
  }
  const done = await client.call(
    RequestCode.AUTH_CREATE_ACL,
    { subject: `User:${name}` },
    { as: ADMIN, body: JSON.stringify({ subject: `User:${name}`, policies: [policy] }) },
  )
  if (done.code !== 0) throw new Error(`cannot allow ${name}: ${done.remark}`)
}
