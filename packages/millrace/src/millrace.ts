import {
  type Admin,
  Client,
  type Consumer,
  type ConsumerOptions,
  type Message,
  type Producer,
  type ProducerOptions,
  type SendOptions,
  type SendResult,
} from '@millrace/client'
import { type Environment, memoryNet, type Pipeline, StreamProperty, type Topic } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import type { PipelineOptions, RunningPipeline } from '@millrace/runtime'
import type { BrokerConfig, ConfigEntry, NameserverConfig } from '@millrace/runtime/config'
import { temporaryDirectory } from './node-temporary-directory.js'

export interface StartOptions {
  /** Where messages, offsets and pipeline state stay. Default: a temporary directory, deleted by `close`. */
  readonly dataDir?: string | undefined
  /**
   * Ports for other processes; port 0 picks a free one. Default `false`: no sockets, only this object reaches the broker.
   * `host` is `127.0.0.1` unless given; anything but loopback needs `insecure: true`.
   */
  readonly listen?:
    | false
    | {
        readonly host?: string
        readonly insecure?: boolean
        readonly nameserverPort?: number
        readonly brokerPort?: number
      }
    | undefined
  /** Any broker property by its RocketMQ name; those of the nameserver under `nameserver`. Environment variables are not read. */
  readonly config?: (Partial<BrokerConfig> & { readonly nameserver?: Partial<NameserverConfig> }) | undefined
}

type Cleanup = () => Promise<void>

/**
 * Topics, producers, consumers and pipelines, the same whether the broker is in this process (`start`) or somewhere
 * else (`connect`): a Millrace service or an Apache RocketMQ cluster.
 */
export class Millrace {
  /** Nameserver to give to other clients, `host:port`; undefined when this process has no sockets. */
  readonly nameserver: string | undefined
  /** The client below `producer`, `consumer` and `admin`. */
  readonly client: Client
  readonly #environment: Environment
  readonly #cleanups: Cleanup[]
  #closing: Promise<void> | undefined

  private constructor(client: Client, environment: Environment, nameserver: string | undefined, cleanups: Cleanup[]) {
    this.client = client
    this.nameserver = nameserver
    this.#environment = environment
    this.#cleanups = cleanups
  }

  /**
   * Starts a nameserver and a broker inside this process, and connects to them.
   * @throws MillraceError INVALID_CONFIG, ADDRESS_IN_USE, STORE_LOCKED when another process uses `dataDir`, STORE_CORRUPT
   */
  static async start(options: StartOptions = {}): Promise<Millrace> {
    const [{ startService }, { loadConfig }] = await Promise.all([
      import('@millrace/runtime'),
      import('@millrace/runtime/config'),
    ])
    const real = nodeEnvironment()
    const environment = options.listen ? real : { ...real, net: memoryNet(real.scheduler) }
    const cleanups: Cleanup[] = []
    try {
      let { dataDir } = options
      if (dataDir === undefined) {
        const temporary = await temporaryDirectory()
        cleanups.unshift(temporary.remove)
        dataDir = temporary.path
      }
      const config = loadConfig({ flags: [...toEntries(options, dataDir)] })
      const service = await startService(config, environment)
      cleanups.unshift(() => service.stop())
      const nameserver = service.addresses.nameserver
      if (nameserver === undefined) throw new Error('a service with both roles has a nameserver')
      const client = await Client.connect({ nameservers: nameserver, environment })
      cleanups.unshift(() => client.close())
      return new Millrace(client, environment, options.listen ? nameserver : undefined, cleanups)
    } catch (error) {
      for (const cleanup of cleanups) await cleanup()
      throw error
    }
  }

  /**
   * Connects to a running service or cluster.
   * @param nameservers  `host:9876`, several joined by `;`
   * @throws MillraceError INVALID_ARGUMENT, CONNECT_FAILED
   */
  static async connect(nameservers: string): Promise<Millrace> {
    const environment = nodeEnvironment()
    const client = await Client.connect({ nameservers, environment })
    return new Millrace(client, environment, nameservers, [() => client.close()])
  }

  get admin(): Admin {
    return this.client.admin
  }

  /** A producer for messages as they go over the wire. For values of a typed topic, `send` is shorter. */
  producer(options?: ProducerOptions): Producer {
    return this.client.producer(options)
  }

  /** A member of a consumer group; it joins when it is run or iterated. */
  consumer(options: ConsumerOptions): Consumer {
    return this.client.consumer(options)
  }

  /**
   * Sends a value to a typed topic: values of a key go to one queue, and pipelines see its event time.
   * @throws MillraceError as `Producer.send`
   */
  send<T>(topic: Topic<T>, value: T, options?: SendOptions): Promise<SendResult> {
    this.#producer ??= this.client.producer()
    return this.#producer.send(messageOf(topic, value), options)
  }
  #producer: Producer | undefined

  /** Starts a pipeline. It goes on where the one with the same id stopped. Resolves when its tasks run. */
  async run(pipeline: Pipeline, options?: PipelineOptions): Promise<RunningPipeline> {
    const { runPipeline } = await import('@millrace/runtime')
    const running = await runPipeline(this.client, pipeline, this.#environment, options)
    this.#cleanups.unshift(() => running.stop())
    return running
  }

  /** Stops pipelines, consumers and, if it was started here, the broker. What was acknowledged is kept. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    for (const cleanup of this.#cleanups) await cleanup()
  }
}

/**
 * A broker for a test: in this process, without sockets, in a temporary directory that `close` deletes.
 * ```ts
 * await using broker = await createTestBroker()
 * ```
 */
export function createTestBroker(options: Pick<StartOptions, 'config'> = {}): Promise<Millrace> {
  return Millrace.start({ config: { flushDiskType: 'ASYNC_FLUSH', ...options.config } })
}

/** The message that carries a value of a typed topic. */
export function messageOf<T>(topic: Topic<T>, value: T): Message {
  const key = topic.key?.(value)
  const time = topic.eventTime?.(value)
  return {
    topic: topic.name,
    body: topic.value.serialize(value),
    ...(key === undefined ? {} : { keys: String(key), shardingKey: String(key) }),
    ...(time === undefined ? {} : { properties: { [StreamProperty.TIME]: String(Number(time)) } }),
  }
}

function* toEntries({ listen, config = {} }: StartOptions, dataDir: string): Generator<ConfigEntry> {
  const origin = 'Millrace.start'
  const { nameserver = {}, ...broker } = config
  const { host, insecure, nameserverPort = 0, brokerPort = 0 } = listen || {}
  yield { key: 'nameserver.listenPort', value: nameserverPort, origin }
  yield { key: 'broker.listenPort', value: brokerPort, origin }
  if (host !== undefined) yield { key: 'bindAddress', value: host, origin }
  if (insecure !== undefined) yield { key: 'insecure', value: insecure, origin }
  for (const [key, value] of Object.entries(broker)) yield { key: `broker.${key}`, value, origin }
  for (const [key, value] of Object.entries(nameserver)) yield { key: `nameserver.${key}`, value, origin }
  yield { key: 'storePathRootDir', value: dataDir, origin }
}
