import {
  type ActorContext,
  assertNever,
  type Behavior,
  type Credentials,
  type NetAddress,
  type ReplyTo,
  ResponseCode,
  receive,
  setup,
  type TlsClient,
} from '@millrace/core'
import type { BrokerIdentity } from '../../nameserver/registration.js'
import { addressText } from '../../requests/address.js'
import type { Topic } from '../topics/topic.js'
import type { TopicTable } from '../topics/topic-table.js'
import {
  type RegisteredBroker,
  registerBrokerRequest,
  registerTopicRequest,
  unregisterBrokerRequest,
} from './register-requests.js'
import { WireConnection } from './wire-connection.js'

/** What a link takes. */
export type LinkMessage =
  /** The reply comes when this nameserver shows the change, or cannot be reached. */
  | {
      readonly kind: 'topics-changed'
      readonly changed: readonly Topic[]
      readonly isRemoval: boolean
      readonly reply: ReplyTo<void>
    }
  | { readonly kind: 'connected'; readonly connection: WireConnection }
  | { readonly kind: 'lost'; readonly connection: WireConnection | undefined }
  | { readonly kind: 'round-done'; readonly isAccepted: boolean }
  | { readonly kind: 'connect-due' }
  | { readonly kind: 'period-due' }

export interface LinkOptions {
  readonly nameserver: NetAddress
  readonly broker: BrokerIdentity
  /** Host to register; undefined: our end of the connection to the nameserver. */
  readonly host: string | undefined
  /** Port of the broker's listener. */
  readonly port: number
  readonly topics: TopicTable
  readonly periodMs: number
  /** Signs what is sent; undefined when the nameserver lets everybody in. */
  readonly credentials?: Credentials | undefined
  readonly tls?: TlsClient | undefined
}

const CONNECT_TIMEOUT_MS = 3_000
const CALL_TIMEOUT_MS = 3_000
const LEAVE_TIMEOUT_MS = 1_000
const BACKOFF_FIRST_MS = 500
const BACKOFF_MAX_MS = 10_000
/** Brokers are dropped after this long, or three missed periods. */
const SILENCE_MS = 120_000
/** More changes than this at once are sent as the whole table. */
const SINGLE_TOPICS_MAX = 16

/**
 * Keeps the broker registered with one nameserver of another process: all topics when the connection opens and every
 * period, changes as they come; those that come during a round go out together with the next.
 *
 * States: waiting to connect ⇄ connected (idle ⇄ in a round). Replies wait only in a round. behaviour.md §1
 */
export function nameserverLink(options: LinkOptions): Behavior<LinkMessage> {
  return setup(context => new Link(options, context).start())
}

class Link {
  #connection: WireConnection | undefined
  #isConnecting = false
  #isInRound = false
  /** Topics to send one by one; undefined: the whole table. */
  #changes: Map<string, Topic> | undefined = undefined
  #isDue = false
  /** Told when the round under way is done, and when the next one is. */
  #inRound: ReplyTo<void>[] = []
  #next: ReplyTo<void>[] = []
  #backoffMs = BACKOFF_FIRST_MS

  constructor(
    private readonly options: LinkOptions,
    private readonly context: ActorContext<LinkMessage>,
  ) {}

  start(): Behavior<LinkMessage> {
    this.#connect()
    this.context.every(this.options.periodMs, { kind: 'period-due' })
    this.context.onStop(() => this.#leave())
    return receive(message => {
      switch (message.kind) {
        case 'topics-changed':
          this.#changed(message)
          break
        case 'connected':
          this.#connection = message.connection
          this.#isConnecting = false
          this.#backoffMs = BACKOFF_FIRST_MS
          this.#registerAll()
          break
        case 'lost':
          this.#lost(message.connection)
          break
        case 'round-done':
          this.#roundDone(message.isAccepted)
          break
        case 'connect-due':
          this.#connect()
          break
        case 'period-due':
          if (this.#connection) this.#registerAll()
          break
        default:
          assertNever(message)
      }
    })
  }

  #connect(): void {
    if (this.#connection || this.#isConnecting) return
    this.#isConnecting = true
    const { self, environment } = this.context
    const { credentials, nameserver, tls } = this.options
    let opened: WireConnection | undefined
    WireConnection.open(environment, nameserver, {
      timeoutMs: CONNECT_TIMEOUT_MS,
      credentials,
      tls,
      // One that is lost before it is handed over is found out by its first request.
      onLost: () => {
        if (opened) self.tell({ kind: 'lost', connection: opened })
      },
    }).then(
      connection => {
        opened = connection
        self.tell({ kind: 'connected', connection })
      },
      () => self.tell({ kind: 'lost', connection: undefined }),
    )
  }

  #lost(connection: WireConnection | undefined): void {
    // Undefined: could not be opened. Any other but the current one has been dealt with.
    if (connection !== undefined && connection !== this.#connection) return
    this.#connection = undefined
    this.#isConnecting = false
    this.#isInRound = false
    this.#isDue = false
    // The next connection starts with the whole table, these changes included.
    for (const reply of [...this.#inRound, ...this.#next]) reply.tell()
    this.#inRound = []
    this.#next = []
    const jitterMs = this.context.random.int(this.#backoffMs)
    this.context.after(this.#backoffMs + jitterMs, { kind: 'connect-due' })
    this.#backoffMs = Math.min(BACKOFF_MAX_MS, this.#backoffMs * 2)
  }

  #changed({ changed, isRemoval, reply }: Extract<LinkMessage, { kind: 'topics-changed' }>): void {
    if (!this.#connection) {
      reply.tell()
      return
    }
    this.#next.push(reply)
    if (!this.#isDue) this.#changes = new Map()
    this.#isDue = true
    for (const topic of changed) this.#changes?.set(topic.name, topic)
    if (isRemoval || (this.#changes?.size ?? 0) > SINGLE_TOPICS_MAX) this.#changes = undefined
    this.#startRound()
  }

  #registerAll(): void {
    this.#isDue = true
    this.#changes = undefined
    this.#startRound()
  }

  #startRound(): void {
    const connection = this.#connection
    if (!connection || this.#isInRound || !this.#isDue) return
    const { self } = this.context
    const { topics } = this.options
    const broker = this.#broker(connection)
    const requests = this.#changes
      ? [...this.#changes.values()].map(topic => registerTopicRequest(broker, topic))
      : [registerBrokerRequest(broker, topics.all(), topics.dataVersion)]
    this.#isInRound = true
    this.#isDue = false
    this.#inRound = this.#next
    this.#next = []
    Promise.all(requests.map(request => connection.call(request, CALL_TIMEOUT_MS))).then(
      answers =>
        self.tell({ kind: 'round-done', isAccepted: answers.every(({ code }) => code === ResponseCode.SUCCESS) }),
      // A nameserver that does not answer is as good as gone.
      () => {
        connection.destroy()
        self.tell({ kind: 'lost', connection })
      },
    )
  }

  /** A nameserver that does not know [217] gets the whole table instead; one that refuses that is asked again in a period. */
  #roundDone(isAccepted: boolean): void {
    const wasWhole = this.#changes === undefined
    this.#isInRound = false
    if (!isAccepted && !wasWhole) {
      this.#next = [...this.#inRound, ...this.#next]
      this.#inRound = []
      this.#registerAll()
      return
    }
    for (const reply of this.#inRound) reply.tell()
    this.#inRound = []
    this.#startRound()
  }

  #broker(connection: WireConnection): RegisteredBroker {
    const { broker, host, periodMs, port } = this.options
    const address = addressText({ host: host ?? connection.local.host, port })
    return { ...broker, address, timeoutMs: Math.max(SILENCE_MS, 3 * periodMs) }
  }

  async #leave(): Promise<void> {
    const connection = this.#connection
    if (!connection) return
    try {
      await connection.call(unregisterBrokerRequest(this.#broker(connection)), LEAVE_TIMEOUT_MS)
    } catch {
      // The nameserver notices the closed connection as well.
    }
    connection.end()
  }
}
