import {
  decodeTopicRoute,
  type Environment,
  type MessageQueue,
  MillraceError,
  RequestCode,
  ResponseCode,
  SystemTopic,
} from '@millrace/core'
import type { RequestOptions } from '../connection/connection-pool.js'
import { RequestError } from '../errors.js'
import { AUTO_CREATE_QUEUES, ROUTE_REFRESH_MS } from '../limits.js'
import type { Nameservers } from './nameservers.js'
import { MASTER_ID, type TopicRoute, topicRoute } from './topic-route.js'

type RouteListener = (route: TopicRoute) => void

/** Routes of the topics in use, read again every 30 s, and the addresses of their brokers. */
export class RouteTable {
  readonly #environment: Environment
  readonly #nameservers: Nameservers
  readonly #routes = new Map<string, TopicRoute>()
  readonly #loading = new Map<string, Promise<TopicRoute>>()
  /** Topics that do not exist yet and are sent to by the route of the template. */
  readonly #templated = new Set<string>()
  /** Broker id → `host:port`, by broker name. */
  readonly #brokers = new Map<string, Readonly<Record<string, string>>>()
  readonly #listeners = new Set<RouteListener>()
  #cancelRefresh: (() => void) | undefined
  #isRefreshing = false
  #isStopped = false

  constructor(environment: Environment, nameservers: Nameservers) {
    this.#environment = environment
    this.#nameservers = nameservers
  }

  start(): void {
    if (this.#isStopped) return
    this.#cancelRefresh = this.#environment.scheduler.after(ROUTE_REFRESH_MS, () => void this.#refresh(), {
      unref: true,
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelRefresh?.()
  }

  /** Hears of every route that was read for the first time or has changed. Returns what ends it. */
  onChange(listener: RouteListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The route as last read. */
  get(topic: string): TopicRoute | undefined {
    return this.#routes.get(topic)
  }

  /**
   * The cached route, else that of a name server.
   * @throws MillraceError TOPIC_NOT_FOUND; CONNECT_FAILED when no name server answers.
   */
  async route(topic: string, options?: RequestOptions): Promise<TopicRoute> {
    const cached = this.#templated.has(topic) ? undefined : this.#routes.get(topic)
    return cached ?? (await this.load(topic, options))
  }

  /**
   * The route to send by: when the topic does not exist, that of the brokers which would create it.
   * @throws MillraceError TOPIC_NOT_FOUND when no broker creates topics; CONNECT_FAILED.
   */
  async routeForSend(topic: string, options?: RequestOptions): Promise<TopicRoute> {
    const cached = this.#routes.get(topic)
    if (cached && cached.writeQueues.length > 0) return cached
    try {
      return await this.load(topic, options)
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === 'TOPIC_NOT_FOUND')) throw error
      // The brokers of the template topic create unknown topics on the first send. messages.md §9
      const template = await this.#read(SystemTopic.AUTO_CREATE, options)
      if (!template) throw error
      const isUsed = (queue: MessageQueue): boolean => queue.queueId < AUTO_CREATE_QUEUES
      const rename = ({ brokerName, queueId }: MessageQueue): MessageQueue => ({ topic, brokerName, queueId })
      const route = { ...template, topic, writeQueues: template.writeQueues.filter(isUsed).map(rename), readQueues: [] }
      this.#templated.add(topic)
      this.#store(route)
      return route
    }
  }

  /** True while the topic is sent to by the template's route: the next send creates it. */
  isTemplated(topic: string): boolean {
    return this.#templated.has(topic)
  }

  /** Reads the route of a topic again. Calls at the same time share one request. @throws as `route` */
  load(topic: string, options?: RequestOptions): Promise<TopicRoute> {
    const loading = this.#loading.get(topic)
    if (loading) return loading
    const promise = this.#load(topic, options).finally(() => this.#loading.delete(topic))
    this.#loading.set(topic, promise)
    return promise
  }

  /** Stops reading the route of a topic. */
  forget(topic: string): void {
    this.#routes.delete(topic)
    this.#templated.delete(topic)
  }

  /** `host:port` of a broker's master. */
  addressOf(brokerName: string): string | undefined {
    return this.#brokers.get(brokerName)?.[MASTER_ID]
  }

  /** Where a broker can be read: the asked node, else its master, else any node that is left. */
  readAddressOf(brokerName: string, brokerId: number): string | undefined {
    const addresses = this.#brokers.get(brokerName)
    if (!addresses) return undefined
    return addresses[String(brokerId)] ?? addresses[MASTER_ID] ?? Object.values(addresses)[0]
  }

  /** Address of every master that a topic in use has queues on. */
  masters(): ReadonlySet<string> {
    const masters = new Set<string>()
    for (const route of this.#routes.values())
      for (const { brokerAddrs } of route.brokers.values()) {
        const master = brokerAddrs[MASTER_ID]
        if (master !== undefined) masters.add(master)
      }
    return masters
  }

  async #load(topic: string, options: RequestOptions | undefined): Promise<TopicRoute> {
    const route = await this.#read(topic, options)
    if (!route)
      throw new RequestError(`route of topic "${topic}"`, ResponseCode.TOPIC_NOT_EXIST, 'there is no such topic')
    this.#templated.delete(topic)
    this.#store(route)
    return route
  }

  async #read(topic: string, options: RequestOptions | undefined): Promise<TopicRoute | undefined> {
    const fields = { topic, acceptStandardJsonOnly: 'true' }
    const answer = await this.#nameservers.request({ code: RequestCode.GET_ROUTEINFO_BY_TOPIC, fields }, options)
    if (answer.code === ResponseCode.TOPIC_NOT_EXIST) return undefined
    if (answer.code !== ResponseCode.SUCCESS)
      throw new RequestError(`route of topic "${topic}"`, answer.code, answer.remark)
    const data = decodeTopicRoute(answer.body)
    if (!data.ok) throw new MillraceError('PROTOCOL', `the route of topic "${topic}" is unreadable: ${data.reason}`)
    return topicRoute(topic, data.value)
  }

  #store(route: TopicRoute): void {
    const known = this.#routes.get(route.topic)
    this.#routes.set(route.topic, route)
    for (const { brokerName, brokerAddrs } of route.brokers.values()) this.#brokers.set(brokerName, brokerAddrs)
    if (known && sameRoute(known, route)) return
    for (const listener of this.#listeners) listener(route)
  }

  async #refresh(): Promise<void> {
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    for (const topic of [...this.#routes.keys()]) {
      // A name server that is away costs nothing: the routes known so far stay in use.
      await this.load(topic).catch(() => {})
    }
    this.#isRefreshing = false
    this.start()
  }
}

function sameRoute(a: TopicRoute, b: TopicRoute): boolean {
  return sameQueues(a.readQueues, b.readQueues) && sameQueues(a.writeQueues, b.writeQueues)
}

function sameQueues(a: readonly MessageQueue[], b: readonly MessageQueue[]): boolean {
  return (
    a.length === b.length &&
    a.every((queue, i) => queue.brokerName === b[i]?.brokerName && queue.queueId === b[i]?.queueId)
  )
}
