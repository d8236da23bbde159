import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CommandFlag,
  decodeFrame,
  decodeMessages,
  type Environment,
  encodeRequest,
  encodeResponse,
  FrameReader,
  formatProperties,
  memoryNet,
  type NetConnection,
  type RemotingCommand,
  RequestCode,
  type Serialization,
  type StoredMessage,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { startService } from '@millrace/runtime'
import { loadConfig } from '@millrace/runtime/config'

const ANSWER_MS = 15_000

/** What a client answers to a request of the broker; undefined: nothing. */
export type Serve = (
  request: RemotingCommand,
) => { readonly code: number; readonly remark?: string; readonly body?: Buffer } | undefined

/** Speaks raw frames to a broker, as a client nobody here wrote would. */
export class RawClient {
  private readonly waiting = new Map<number, (answer: RemotingCommand) => void>()
  private readonly reader = new FrameReader()
  private opaque = 0
  /** Requests the broker made of this client. */
  readonly asked: RemotingCommand[] = []
  serve: Serve = () => undefined

  constructor(readonly net: NetConnection) {
    net.start({
      data: chunk => {
        this.reader.feed(chunk)
        while (this.reader.next()) {
          const { buffer, start, end } = this.reader
          const decoded = decodeFrame(Buffer.from(buffer.subarray(start, end)), 0, end - start)
          if (decoded.ok) this.take(decoded.command)
        }
      },
      drain: () => {},
      close: () => {},
    })
  }

  private take(command: RemotingCommand): void {
    if ((command.flag & CommandFlag.RESPONSE) !== 0) {
      this.waiting.get(command.opaque)?.(command)
      return
    }
    this.asked.push(command)
    const answer = this.serve(command)
    if (answer && (command.flag & CommandFlag.ONEWAY) === 0) this.net.write(encodeResponse(command, answer))
  }

  call(
    code: number,
    extFields: Readonly<Record<string, string>>,
    body?: Buffer,
    serialization: Serialization = 'JSON',
  ): Promise<RemotingCommand> {
    const opaque = ++this.opaque
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${code}`)), ANSWER_MS)
      this.waiting.set(opaque, answer => {
        clearTimeout(timer)
        resolve(answer)
      })
      this.net.write(encodeRequest({ code, opaque, extFields, body, serialization }))
    })
  }

  /** A request with a JSON body. */
  ask(code: number, body: object): Promise<RemotingCommand> {
    return this.call(code, {}, Buffer.from(JSON.stringify(body)))
  }

  send(
    topic: string,
    body: Uint8Array | string,
    properties: Readonly<Record<string, string>> = {},
    extra: Readonly<Record<string, string>> = {},
  ): Promise<RemotingCommand> {
    const fields = {
      a: 'producers',
      b: topic,
      c: 'TBW102',
      d: '4',
      e: '0',
      f: '0',
      g: '1700000000000',
      h: '0',
      i: formatProperties(properties),
      j: '0',
      k: 'false',
      m: 'false',
      ...extra,
    }
    return this.call(RequestCode.SEND_MESSAGE_V2, fields, Buffer.from(body))
  }

  /** With a subscription of its own unless `subscription` is undefined: then that of the group's heartbeat counts. */
  pull(
    topic: string,
    offset: number,
    options: {
      readonly group?: string
      readonly subscription?: string | undefined
      readonly type?: string
      readonly subVersion?: number
      readonly suspendMs?: number
      readonly max?: number
      readonly code?: number
    } = {},
  ): Promise<RemotingCommand> {
    const { group = 'readers', type = 'TAG', subVersion = 1, suspendMs = 0, max = 32, code } = options
    const subscription = 'subscription' in options ? options.subscription : '*'
    return this.call(code ?? RequestCode.PULL_MESSAGE, {
      consumerGroup: group,
      topic,
      queueId: '0',
      queueOffset: String(offset),
      maxMsgNums: String(max),
      sysFlag: String((subscription === undefined ? 0 : 4) | (suspendMs > 0 ? 2 : 0)),
      commitOffset: '0',
      suspendTimeoutMillis: String(suspendMs),
      subVersion: String(subVersion),
      expressionType: type,
      ...(subscription !== undefined && { subscription }),
    })
  }

  /** Joins a consumer group with these subscriptions. */
  join(
    group: string,
    subscriptions: readonly {
      readonly topic: string
      readonly subString: string
      readonly expressionType?: string
      readonly subVersion?: number
    }[],
    { clientId = 'client-1', messageModel = 'CLUSTERING' } = {},
  ): Promise<RemotingCommand> {
    return this.ask(RequestCode.HEART_BEAT, {
      clientID: clientId,
      producerDataSet: [],
      consumerDataSet: [
        {
          groupName: group,
          consumeType: 'CONSUME_PASSIVELY',
          messageModel,
          consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
          subscriptionDataSet: subscriptions.map(subscription => ({
            classFilterMode: false,
            tagsSet: [],
            codeSet: [],
            expressionType: 'TAG',
            subVersion: 1,
            ...subscription,
          })),
          unitMode: false,
        },
      ],
    })
  }

  close(): void {
    this.net.destroy()
  }
}

/** Messages in a pull's answer. */
export function messagesOf(answer: RemotingCommand): StoredMessage[] {
  const decoded = decodeMessages(answer.body ?? Buffer.alloc(0))
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.messages
}

export function bodiesOf(answer: RemotingCommand): string[] {
  return messagesOf(answer).map(message => message.body.toString())
}

export interface RawBroker {
  /** Whose network the broker is on. */
  readonly environment: Environment
  /** `host:port` of its nameserver. */
  readonly nameserver: string
  connect(): Promise<RawClient>
  /** Starts anew on what is stored. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** A broker on sockets in memory and a directory of its own. */
export async function startRawBroker(
  settings: Readonly<Record<string, string | number | boolean>> = {},
): Promise<RawBroker> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-raw-'))
  const real = nodeEnvironment()
  const environment = { ...real, net: memoryNet(real.scheduler) }
  const config = {
    storePathRootDir: directory,
    'broker.listenPort': 0,
    'nameserver.listenPort': 0,
    flushDiskType: 'ASYNC_FLUSH',
    mapedFileSizeCommitLog: 64 * 1024 * 1024,
    ...settings,
  }
  const flags = Object.entries(config).map(([key, value]) => ({ key, value, origin: 'test' }))
  const start = () => startService(loadConfig({ flags }), environment)
  let service = await start()
  const clients: RawClient[] = []
  return {
    environment,
    get nameserver() {
      return service.addresses.nameserver!
    },
    async connect() {
      const [host, port] = service.addresses.broker!.split(':')
      const client = new RawClient(await environment.net.connect({ host: host!, port: Number(port) }))
      clients.push(client)
      return client
    },
    async restart() {
      for (const client of clients.splice(0)) client.close()
      await service.stop()
      service = await start()
    },
    async stop() {
      for (const client of clients) client.close()
      await service.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
