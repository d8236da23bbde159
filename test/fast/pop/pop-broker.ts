import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@millrace/client'
import {
  decodeFrame,
  type Environment,
  encodeRequest,
  FrameReader,
  formatProperties,
  memoryNet,
  type NetConnection,
  type RemotingCommand,
  RequestCode,
  type Serialization,
} from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { type Service, startService } from '@millrace/runtime'
import { loadConfig } from '@millrace/runtime/config'
import { handleFields, type Popped, readPopped } from '../../faults/popped.js'

export interface PopOptions {
  readonly queueId?: number
  readonly max?: number
  readonly invisibleMs?: number
  readonly pollMs?: number
  readonly initMode?: number
  readonly order?: boolean
  readonly exp?: string
  readonly expType?: string
  readonly attemptId?: string
  readonly bornTime?: number
  readonly serialization?: Serialization
}

/** A broker of its own whose wall clock stands still but for `pass`, and one raw connection to it. */
export class PopBroker {
  readonly directory = mkdtempSync(join(tmpdir(), 'millrace-pop-'))
  private nowMs = Date.now()
  private environment: Environment
  private service!: Service
  private net!: NetConnection
  private readonly waiting = new Map<number, (answer: RemotingCommand) => void>()
  private opaque = 0

  private constructor(private readonly settings: Readonly<Record<string, unknown>>) {
    const real = nodeEnvironment()
    const clock = { now: () => this.nowMs, monotonic: () => real.clock.monotonic() }
    this.environment = { ...real, clock, net: memoryNet(real.scheduler) }
  }

  static async start(settings: Readonly<Record<string, unknown>> = {}): Promise<PopBroker> {
    const broker = new PopBroker(settings)
    await broker.open()
    return broker
  }

  private async open(): Promise<void> {
    const config = {
      storePathRootDir: this.directory,
      'broker.listenPort': 0,
      'nameserver.listenPort': 0,
      flushDiskType: 'ASYNC_FLUSH',
      mapedFileSizeCommitLog: 64 * 1024 * 1024,
      ...this.settings,
    }
    const flags = Object.entries(config).map(([key, value]) => ({ key, value, origin: 'test' }))
    this.service = await startService(loadConfig({ flags }), this.environment)
    const [host, port] = this.service.addresses.broker!.split(':')
    this.net = await this.environment.net.connect({ host: host!, port: Number(port) })
    const reader = new FrameReader()
    this.net.start({
      data: chunk => {
        reader.feed(chunk)
        while (reader.next()) {
          const frame = Buffer.from(reader.buffer.subarray(reader.start, reader.end))
          const decoded = decodeFrame(frame, 0, frame.length)
          if (decoded.ok) this.waiting.get(decoded.command.opaque)?.(decoded.command)
        }
      },
      drain: () => {},
      close: () => {},
    })
  }

  get now(): number {
    return this.nowMs
  }

  /** Time passes for the broker. */
  pass(durationMs: number): void {
    this.nowMs += durationMs
  }

  /** A client of ours. */
  client(): Promise<Client> {
    return Client.connect({ nameservers: this.service.addresses.nameserver!, environment: this.environment })
  }

  async restart(): Promise<void> {
    await this.service.stop()
    await this.open()
  }

  async stop(): Promise<void> {
    await this.service.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }

  ask(
    code: number,
    fields: Readonly<Record<string, string | number | boolean | undefined>>,
    body?: Uint8Array,
    serialization: Serialization = 'JSON',
  ): Promise<RemotingCommand> {
    const opaque = ++this.opaque
    const extFields = Object.fromEntries(
      Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    )
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${code}`)), 10_000)
      this.waiting.set(opaque, answer => {
        clearTimeout(timer)
        this.waiting.delete(opaque)
        resolve(answer)
      })
      this.net.write(encodeRequest({ code, opaque, extFields, body, serialization }))
    })
  }

  async createTopic(topic: string, queues = 1): Promise<void> {
    await this.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: 6,
      topicFilterType: 'SINGLE_TAG',
      order: false,
    })
  }

  async send(topic: string, text: string, properties: Record<string, string> = {}, queueId = 0): Promise<void> {
    const fields = {
      a: 'p',
      b: topic,
      c: 'TBW102',
      d: 1,
      e: queueId,
      f: 0,
      g: 1,
      h: 0,
      i: formatProperties({ UNIQ_KEY: text, ...properties }),
      j: 0,
      k: false,
      m: false,
    }
    const answer = await this.ask(RequestCode.SEND_MESSAGE_V2, fields, Buffer.from(text))
    if (answer.code !== 0) throw new Error(`send was answered ${answer.code}: ${answer.remark}`)
  }

  popRaw(group: string, topic: string, options: PopOptions = {}): Promise<RemotingCommand> {
    return this.ask(
      RequestCode.POP_MESSAGE,
      {
        consumerGroup: group,
        topic,
        queueId: options.queueId ?? -1,
        maxMsgNums: options.max ?? 32,
        invisibleTime: options.invisibleMs ?? 60_000,
        pollTime: options.pollMs ?? 0,
        bornTime: options.bornTime ?? this.now,
        initMode: options.initMode ?? 0,
        order: options.order ?? false,
        exp: options.exp,
        expType: options.expType,
        attemptId: options.attemptId,
      },
      undefined,
      options.serialization,
    )
  }

  /** Messages of a pop that found some, or none when it found none. */
  async pop(group: string, topic: string, options: PopOptions = {}): Promise<Popped[]> {
    return readPopped(await this.popRaw(group, topic, options))
  }

  /** Pops until messages come: revival takes a moment of real time. */
  async popSoon(group: string, topic: string, options: PopOptions = {}): Promise<Popped[]> {
    for (const deadline = performance.now() + 15_000; performance.now() < deadline; ) {
      const found = await this.pop(group, topic, { pollMs: 200, ...options })
      if (found.length > 0) return found
    }
    throw new Error(`nothing came to ${group} from ${topic}`)
  }

  ack(group: string, popped: Popped): Promise<RemotingCommand> {
    return this.ask(RequestCode.ACK_MESSAGE, handleFields(group, popped))
  }

  change(group: string, popped: Popped, invisibleTime: number): Promise<RemotingCommand> {
    return this.ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, { ...handleFields(group, popped), invisibleTime })
  }

  async committed(group: string, topic: string, queueId = 0): Promise<number> {
    const answer = await this.ask(RequestCode.QUERY_CONSUMER_OFFSET, { consumerGroup: group, topic, queueId })
    return Number(answer.extFields['offset'])
  }
}
