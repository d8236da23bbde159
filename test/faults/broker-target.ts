import { fileURLToPath } from 'node:url'
import { decodeMessages, RequestCode, ResponseCode } from '@millrace/core'
import { FrameClient } from './frame-client.js'
import { type Exit, LineChild } from './line-child.js'
import { Refused, type Scan, type Target } from './target.js'

const CLI = fileURLToPath(new URL('../../packages/millrace/dist/cli/main.js', import.meta.url))
const TOPIC = 'crash'
const GROUP = 'crash-reader'
const QUEUES = 4
const SUBSCRIPTION_IN_REQUEST = '4'

export interface BrokerTargetOptions {
  readonly directory: string
  readonly flush: 'sync' | 'async'
  /** Settings by RocketMQ's names, beside small log files. */
  readonly settings?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
}

/** A whole broker with its nameserver, as the command line starts it; spoken to over TCP. */
export class BrokerTarget implements Target {
  readonly child: LineChild
  readonly client: FrameClient

  private constructor(child: LineChild, client: FrameClient) {
    this.child = child
    this.client = client
  }

  /** @throws Refused when the broker ends instead of getting ready; the message is what it said */
  static async start(options: BrokerTargetOptions): Promise<BrokerTarget> {
    const settings = {
      mapedFileSizeCommitLog: String(4 * 1024 * 1024),
      ringBytes: String(2 * 1024 * 1024),
      maxMessageSize: String(64 * 1024),
      flushIntervalCommitLog: '50',
      ...options.settings,
    }
    const child = new LineChild(
      CLI,
      [
        ...['start', '--json', '--data', options.directory, '--flush', options.flush],
        ...['--nameserver-port', '0', '--broker-port', '0'],
        ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
      ],
      options.environment,
    )
    const ready = child.line<{ broker: string }>(line => line['ready'] === true, 60_000)
    const ended = child.closed.then(() => undefined)
    const first = await Promise.race([ready, ended])
    if (first === undefined) {
      ready.catch(() => undefined)
      throw new Refused('ENDED', child.log)
    }
    const client = await FrameClient.connect(first.broker)
    const target = new BrokerTarget(child, client)
    await target.createTopic(TOPIC)
    return target
  }

  get log(): string {
    return this.child.log
  }

  /** @throws Refused | Lost */
  async createTopic(topic: string): Promise<void> {
    await this.#ask(RequestCode.UPDATE_AND_CREATE_TOPIC, {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: String(QUEUES),
      writeQueueNums: String(QUEUES),
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
    })
  }

  /** @throws Lost */
  async hasTopic(topic: string): Promise<boolean> {
    const { code } = await this.client.ask({ code: RequestCode.GET_TOPIC_CONFIG, extFields: { topic } })
    return code === ResponseCode.SUCCESS
  }

  /** Commits with an answer, as an operator's tool does; consumers usually do not wait. @throws Refused | Lost */
  async commitOffset(group: string, queueId: number, offset: number): Promise<void> {
    await this.#ask(RequestCode.UPDATE_CONSUMER_OFFSET, {
      consumerGroup: group,
      topic: TOPIC,
      queueId: String(queueId),
      commitOffset: String(offset),
    })
  }

  /** @throws Refused | Lost */
  async committedOffset(group: string, queueId: number): Promise<number> {
    const { extFields } = await this.#ask(RequestCode.QUERY_CONSUMER_OFFSET, {
      consumerGroup: group,
      topic: TOPIC,
      queueId: String(queueId),
    })
    return Number(extFields['offset'])
  }

  async append(queueId: number, body: string): Promise<number> {
    const { extFields } = await this.#ask(
      RequestCode.SEND_MESSAGE,
      {
        producerGroup: 'crash-writer',
        topic: TOPIC,
        defaultTopic: 'TBW102',
        defaultTopicQueueNums: String(QUEUES),
        queueId: String(queueId),
        sysFlag: '0',
        bornTimestamp: String(Date.now()),
        flag: '0',
        properties: '',
      },
      Buffer.from(body),
    )
    if (Number(extFields['queueId']) !== queueId) throw new Error(`sent to queue ${queueId}, stored in another`)
    return Number(extFields['queueOffset'])
  }

  async scan(queueId: number, from: number): Promise<Scan> {
    const min = await this.#offset(RequestCode.GET_MIN_OFFSET, queueId)
    const max = await this.#offset(RequestCode.GET_MAX_OFFSET, queueId)
    const messages: { offset: number; body: string }[] = []
    for (let offset = Math.max(min, from); offset < max; ) {
      const response = await this.client.ask({
        code: RequestCode.PULL_MESSAGE,
        extFields: {
          consumerGroup: GROUP,
          topic: TOPIC,
          queueId: String(queueId),
          queueOffset: String(offset),
          maxMsgNums: '32',
          sysFlag: SUBSCRIPTION_IN_REQUEST,
          commitOffset: '0',
          suspendTimeoutMillis: '0',
          subscription: '*',
          subVersion: '0',
          expressionType: 'TAG',
        },
      })
      const next = Number(response.extFields['nextBeginOffset'])
      if (response.code === ResponseCode.SUCCESS) {
        const decoded = decodeMessages(response.body ?? Buffer.alloc(0))
        if (!decoded.ok) throw new Error(`the broker served a bad record: ${decoded.reason}`)
        for (const { queueOffset, body } of decoded.messages)
          messages.push({ offset: queueOffset, body: body.toString() })
      } else if (response.code === ResponseCode.SYSTEM_ERROR)
        throw new Refused(String(response.code), response.remark ?? '')
      if (!(next > offset)) break
      offset = next
    }
    return { min, max, messages }
  }

  async kill(): Promise<void> {
    this.client.close()
    await this.child.kill()
  }

  async stop(): Promise<Exit> {
    this.client.close()
    this.child.process.kill('SIGTERM')
    return this.child.ended()
  }

  async #offset(code: number, queueId: number): Promise<number> {
    const { extFields } = await this.#ask(code, { topic: TOPIC, queueId: String(queueId) })
    return Number(extFields['offset'])
  }

  async #ask(code: number, extFields: Readonly<Record<string, string>>, body?: Uint8Array) {
    const response = await this.client.ask({ code, extFields, ...(body ? { body } : {}) })
    if (response.code !== ResponseCode.SUCCESS) throw new Refused(String(response.code), response.remark ?? '')
    return response
  }
}
