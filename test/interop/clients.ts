import { Child, run } from './children.js'
import { goProgram, javaClassPath, missingNodeClient, missingTool, nodeProgram } from './tools.js'

/** `reject` refuses the first delivery of every message. */
export type ConsumeMode = 'concurrent' | 'orderly' | 'broadcast' | 'reject'

export interface SendOptions {
  readonly nameServer: string
  readonly topic: string
  readonly group: string
  readonly count: number
  readonly out: string
}

export interface ConsumeOptions {
  readonly nameServer: string
  readonly topic: string
  readonly group: string
  readonly instance: string
  readonly tags: string
  readonly mode: ConsumeMode
  readonly out: string
}

/** An official client: how its two programs are started, and which modes it has. README.md has the contract. */
export interface Client {
  readonly name: string
  readonly modes: readonly ConsumeMode[]
  /** Messages of the main case; binary headers repeat what JSON headers have shown with all of them. */
  readonly count: number
  /** Does it send to a topic that has no route yet, by the route of the default topic? */
  readonly autoCreates: boolean
  missing(): string | undefined
  send(options: SendOptions): Child
  consume(options: ConsumeOptions): Child
  /** Creates a topic by the client's own admin API, where it has one. */
  createTopic?(options: { nameServer: string; broker: string; topic: string; queues: number }): Promise<void>
}

const sendArgs = (o: SendOptions) => [o.nameServer, o.topic, o.group, String(o.count), o.out]
const consumeArgs = (o: ConsumeOptions) => [o.nameServer, o.topic, o.group, o.instance, o.tags, o.mode, o.out]

/** A main class of ./java, in a small JVM; logs and offsets of broadcasting consumers go to `home`. */
export function java(main: string, args: readonly string[], home: string, flags: readonly string[] = []): Child {
  const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Duser.home=${home}`]
  const offsets = `-Drocketmq.client.localOffsetStoreDir=${home}/offsets`
  return new Child('java', [...jvm, offsets, ...flags, '-cp', javaClassPath, main, ...args])
}

function javaClient(name: string, count: number, flags: readonly string[]): Client {
  return {
    name,
    count,
    modes: ['concurrent', 'orderly', 'broadcast', 'reject'],
    autoCreates: true,
    missing: () => missingTool('java') ?? missingTool('mvn'),
    send: o => java('Send', sendArgs(o), `${o.out}.home`, flags),
    consume: o => java('Consume', consumeArgs(o), `${o.out}.home`, flags),
  }
}

export const go: Client = {
  name: 'Go rocketmq-client-go/v2 2.1.2',
  count: 10_000,
  modes: ['concurrent', 'orderly', 'reject'],
  autoCreates: true,
  missing: () => missingTool('go'),
  send: o => new Child(goProgram, ['send', ...sendArgs(o)]),
  consume: o => new Child(goProgram, ['consume', ...consumeArgs(o)]),
  async createTopic(o) {
    await run(goProgram, ['create', o.nameServer, o.broker, o.topic, String(o.queues)], { timeoutMs: 30_000 })
  },
}

const aliOns: Client = {
  name: 'Node ali-ons 3.12.0',
  count: 10_000,
  modes: ['concurrent', 'broadcast', 'reject'],
  autoCreates: false, // it gives up at the answer 17
  missing: missingNodeClient,
  send: o => new Child(process.execPath, [nodeProgram(), 'send', ...sendArgs(o)]),
  consume: o => new Child(process.execPath, [nodeProgram(), 'consume', ...consumeArgs(o)]),
}

export const binaryHeaders = ['-Drocketmq.serialize.type=ROCKETMQ']

export const javaJson = javaClient('Java rocketmq-client 5.5.0', 10_000, [])
export const javaBinary = javaClient('Java 5.5.0, binary headers', 2_000, binaryHeaders)
export const clients: readonly Client[] = [javaJson, javaBinary, go, aliOns]
