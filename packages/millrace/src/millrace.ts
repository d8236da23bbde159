import { join } from 'node:path'
import {
  type Admin,
  Client,
  type ClientOptions,
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

export interface ConnectOptions extends Pick<ClientOptions, 'credentials' | 'tls'> {
  /** Where the state of pipelines that run here stays. Default `./data`. */
  readonly dataDir?: string | undefined
}

export interface RunOptions extends Omit<PipelineOptions, 'client' | 'environment' | 'stateDir'> {
  /** Hears of records that are skipped, and of failures that are tried again. Default: a process warning. */
  readonly onError?: ((error: Error) => void) | undefined
}

/** A broker in this process cannot be out of reach: when a send takes long, the machine is busy, and waiting is right. */
const EMBEDDED_SEND_TIMEOUT_MS = 30_000

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
  readonly #stateDir: string
  readonly #producerDefaults: ProducerOptions
  readonly #cleanups: Cleanup[]
  #producer: Producer | undefined
  #closing: Promise<void> | undefined

  private constructor(parts: {
    readonly client: Client
    readonly environment: Environment
    readonly nameserver: string | undefined
    readonly dataDir: string
    readonly isEmbedded: boolean
    readonly cleanups: Cleanup[]
  }) {
    this.client = parts.client
    this.nameserver = parts.nameserver
    this.#environment = parts.environment
    this.#stateDir = join(parts.dataDir, 'pipelines')
    this.#producerDefaults = parts.isEmbedded ? { timeoutMs: EMBEDDED_SEND_TIMEOUT_MS } : {}
    this.#cleanups = parts.cleanups
  }

  /**
   * Starts a nameserver and a broker inside this process, and connects to them.
   * @throws MillraceError INVALID_CONFIG, ADDRESS_IN_USE, STORE_LOCKED when another process uses `dataDir`, STORE_CORRUPT
   */
  static async start(options: StartOptions = {}): Promise<Millrace> {
    const [{ startService }, { loadConfig, ownCredentials }] = await Promise.all([
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
      const client = await Client.connect({
        nameservers: nameserver,
        environment,
        credentials: ownCredentials(config.broker),
        tls: config.broker.tlsServerMode === 'enforcing' && { isChecked: false },
      })
      cleanups.unshift(() => client.close())
      return new Millrace({
        client,
        environment,
        nameserver: options.listen ? nameserver : undefined,
        dataDir,
        isEmbedded: true,
        cleanups,
      })
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
  static async connect(nameservers: string, options: ConnectOptions = {}): Promise<Millrace> {
    const environment = nodeEnvironment()
    const { credentials, dataDir = './data', tls } = options
    const client = await Client.connect({ nameservers, environment, credentials, tls })
    return new Millrace({
      client,
      environment,
      nameserver: nameservers,
      dataDir,
      isEmbedded: false,
      cleanups: [() => client.close()],
    })
  }

  get admin(): Admin {
    return this.client.admin
  }

  /** A producer for messages as they go over the wire. For values of a typed topic, `send` is shorter. */
  producer(options?: ProducerOptions): Producer {
    return this.client.producer({ ...this.#producerDefaults, ...options })
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
    this.#producer ??= this.producer()
    return this.#producer.send(messageOf(topic, value), options)
  }

  /**
   * Runs a pipeline in this process; it goes on where the one with the same id and `dataDir` stopped. Resolves when its tasks run.
   * @throws MillraceError TOPOLOGY_CHANGED when its state was made by another shape of the pipeline, STORE_LOCKED
   */
  async run(pipeline: Pipeline, options: RunOptions = {}): Promise<RunningPipeline> {
    const { runPipeline } = await import('@millrace/runtime')
    const { onError = (error: Error) => process.emitWarning(error), ...rest } = options
    const places = { client: this.client, environment: this.#environment, stateDir: this.#stateDir }
    const running = await runPipeline(pipeline, { ...rest, ...places })
    running.errors.subscribe(onError)
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
  const time = typeof topic.eventTime === 'function' ? topic.eventTime(value) : undefined
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
