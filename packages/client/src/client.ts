import type { Credentials, Environment, TlsClient } from '@millrace/core'
import { loadBodyCodec, MillraceError, type NetAddress, UniqueIds } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { Admin } from './admin/admin.js'
import type { ClientContext } from './client-context.js'
import { parseNameservers } from './connection/address.js'
import { ConnectionPool } from './connection/connection-pool.js'
import { Consumer, type ConsumerOptions } from './consumer/consumer.js'
import { PopConsumer, type PopConsumerOptions } from './consumer/pop-consumer.js'
import { PullConsumer, type PullConsumerOptions } from './consumer/pull-consumer.js'
import { type AssignmentListener, Assignments, type AssignmentsOptions } from './membership/assignments.js'
import { Heartbeats } from './membership/heartbeats.js'
import { Producer, type ProducerOptions } from './producer/producer.js'
import { Nameservers } from './route/nameservers.js'
import { RouteTable } from './route/route-table.js'
import { ServerRequests } from './served/server-requests.js'
import { Tracer } from './trace/tracer.js'

export interface ClientOptions {
  /** Name servers: `host:9876`, several with `;` between them, or a list. */
  readonly nameservers: string | readonly string[]
  /** Clock, network and the rest of the outside. Default: the real one. */
  readonly environment?: Environment | undefined
  /** Name of this client among the members of its groups; unique among them. Default: its address and a random number. */
  readonly clientId?: string | undefined
  /** Signs every request; for clusters that ask who it is. */
  readonly credentials?: Credentials | undefined
  /**
   * Connects by TLS. `true` checks the servers' certificates against the authorities that Node.js knows;
   * `{ isChecked: false }` takes any certificate, such as one a server made for itself.
   */
  readonly tls?: boolean | Partial<TlsClient> | undefined
}

/**
 * A client of a RocketMQ cluster: Millrace's or Apache's. It holds one connection per name server and broker in use,
 * shared by all its producers and consumers.
 *
 * ```ts
 * await using client = await Client.connect({ nameservers: 'localhost:9876' })
 * const { messageId } = await client.producer().send({ topic: 'orders', body: 'hello' })
 * ```
 */
export class Client {
  /** Topics, groups, offsets and stored messages. */
  readonly admin: Admin
  readonly #context: ClientContext
  #isClosed = false

  private constructor(
    context: ClientContext,
    private readonly tracers: readonly Tracer[],
  ) {
    this.#context = context
    this.admin = new Admin(context)
  }

  /**
   * Connects to one of the name servers.
   * @throws MillraceError INVALID_ARGUMENT for a bad address; CONNECT_FAILED when no name server can be reached.
   */
  static async connect(options: ClientOptions): Promise<Client> {
    const environment = options.environment ?? nodeEnvironment()
    const addresses = parseNameservers(options.nameservers)
    const served = new ServerRequests()
    const pool = new ConnectionPool(environment, (request, connection) => served.handle(request, connection), {
      credentials: options.credentials,
      tls: tlsOf(options.tls),
    })
    const nameservers = new Nameservers(environment, pool, addresses)
    let local: NetAddress
    try {
      local = await nameservers.connect()
    } catch (error) {
      pool.close()
      throw error
    }
    const clientId =
      options.clientId ??
      `${local.host}@${environment.random.int(2 ** 32).toString(36)}${environment.random.int(2 ** 32).toString(36)}`
    const routes = new RouteTable(environment, nameservers)
    const heartbeats = new Heartbeats(environment, pool, routes, clientId)
    const ids = new UniqueIds(environment.clock, environment.random, {
      host: local.host,
      processId: environment.random.int(65_536),
    })
    pool.onOpen(address => void heartbeats.beatTo(address))
    routes.start()
    heartbeats.start()
    const tracers: Tracer[] = []
    const context: ClientContext = {
      environment,
      clientId,
      pool,
      nameservers,
      routes,
      heartbeats,
      zlib: await loadBodyCodec('zlib'),
      open: new Set(),
      served,
      nextMessageId: () => ids.next(),
      tracer(group) {
        const tracer = new Tracer(context, group)
        tracers.push(tracer)
        return tracer
      },
    }
    return new Client(context, tracers)
  }

  /** Name of this client among the members of its groups. */
  get clientId(): string {
    return this.#context.clientId
  }

  /** A producer. One is enough for any number of topics and callers. */
  producer(options?: ProducerOptions): Producer {
    this.#refuseWhenClosed()
    return new Producer(this.#context, options)
  }

  /**
   * A consumer that is handed its messages; it joins its group when it is started.
   * @throws MillraceError INVALID_ARGUMENT for a bad group, topic or filter
   */
  consumer(options: ConsumerOptions): Consumer {
    this.#refuseWhenClosed()
    return new Consumer(this.#context, options)
  }

  /** A consumer that asks for messages by queue and offset, and is no member of its group. @throws MillraceError INVALID_ARGUMENT */
  pullConsumer(options: PullConsumerOptions): PullConsumer {
    this.#refuseWhenClosed()
    return new PullConsumer(this.#context, options)
  }

  /** A consumer that takes messages from any queue and settles each by itself. @throws MillraceError INVALID_ARGUMENT */
  popConsumer(options: PopConsumerOptions): PopConsumer {
    this.#refuseWhenClosed()
    return new PopConsumer(this.#context, options)
  }

  /**
   * Joins a consumer group and tells which queues are this member's: the base for consumers of another kind.
   * Resolves when the first queues have been assigned, which may be none.
   * @throws MillraceError INVALID_ARGUMENT when this client is a member already.
   */
  async assignments(options: AssignmentsOptions, listener: AssignmentListener): Promise<Assignments> {
    this.#refuseWhenClosed()
    const assignments = new Assignments(this.#context, options, listener)
    this.#context.open.add(assignments)
    await assignments.join()
    return assignments
  }

  /**
   * Closes every consumer (running handlers end, offsets are stored, groups are left), then the connections.
   * Sends that are on their way fail.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.all([...this.#context.open].map(part => part.close()))
    await Promise.all(this.tracers.map(tracer => tracer.flush()))
    this.#context.routes.stop()
    await this.#context.heartbeats.stop()
    this.#context.served.clear()
    this.#context.pool.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw new MillraceError('CLOSED', 'the client is closed; make a new one with Client.connect')
  }
}

function tlsOf(tls: ClientOptions['tls']): TlsClient | undefined {
  if (tls === undefined || tls === false) return undefined
  return { isChecked: true, ...(tls === true ? {} : tls) }
}
