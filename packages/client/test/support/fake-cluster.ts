import {
  decodeBatch,
  decodeHeartbeat,
  decodeLockBatch,
  type Environment,
  encodeClusterInfo,
  encodeConsumerIds,
  encodeLockedQueues,
  encodeMessage,
  encodeTopicRoute,
  formatProperties,
  offsetMessageId,
  parseProperties,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type ResponseToEncode,
} from '@millrace/core'
import { type FakePeer, FakeServer } from './fake-server.js'

const NAMESERVER = { host: '10.0.0.1', port: 9876 }
const RETRY_DELAY_MS = 10_000

interface Stored {
  readonly record: Buffer
  readonly body: Buffer
  readonly properties: Record<string, string>
  readonly reconsumeTimes: number
  readonly topic: string
}

interface Topic {
  readonly queues: number
  readonly perm: number
}

/** A broker in memory: stores, serves pulls with long polling, keeps offsets, members and locks of groups. */
export class FakeBroker {
  readonly topics = new Map<string, Topic>()
  readonly offsets = new Map<string, number>()
  readonly locks = new Map<string, string>()
  /** Group → client id → connection. */
  readonly groups = new Map<string, Map<string, FakePeer>>()
  server!: FakeServer
  readonly #queues = new Map<string, Stored[]>()
  readonly #log: Stored[] = []
  #waiting: (() => void)[] = []

  constructor(
    readonly name: string,
    readonly environment: Environment,
  ) {}

  queue(topic: string, queueId: number): Stored[] {
    const key = `${topic}:${queueId}`
    let queue = this.#queues.get(key)
    if (!queue) {
      queue = []
      this.#queues.set(key, queue)
    }
    return queue
  }

  bodies(topic: string): string[] {
    const count = this.topics.get(topic)?.queues ?? 0
    return Array.from({ length: count }, (_, id) => this.queue(topic, id).map(({ body }) => body.toString())).flat()
  }

  store(
    topic: string,
    queueId: number,
    message: { body: Buffer; properties: Record<string, string>; sysFlag?: number; reconsumeTimes?: number },
  ): Stored & { offset: number; position: number } {
    const queue = this.queue(topic, queueId)
    const { body, properties, sysFlag = 0, reconsumeTimes = 0 } = message
    const position = this.#log.length
    const now = this.environment.clock.now()
    const record = encodeMessage({
      topic,
      queueId,
      queueOffset: queue.length,
      commitLogOffset: position,
      sysFlag,
      bornTimestamp: now,
      bornHost: { host: '10.0.0.9', port: 1 },
      storeTimestamp: now,
      storeHost: this.server.address,
      reconsumeTimes,
      body,
      properties: Buffer.from(formatProperties(properties)),
    })
    const stored = { record, body, properties, reconsumeTimes, topic }
    queue.push(stored)
    this.#log.push(stored)
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
    return { ...stored, offset: queue.length - 1, position }
  }

  serve(request: RemotingCommand, peer: FakePeer): ResponseToEncode | Promise<ResponseToEncode> {
    const fields = request.extFields
    switch (request.code) {
      case RequestCode.SEND_MESSAGE_V2:
      case RequestCode.SEND_BATCH_MESSAGE:
        return this.#send(request)
      case RequestCode.PULL_MESSAGE:
        return this.#pull(request)
      case RequestCode.HEART_BEAT:
        return this.#heartbeat(request, peer)
      case RequestCode.UNREGISTER_CLIENT:
        this.leave(fields['consumerGroup'], fields['clientID'])
        return { code: 0 }
      case RequestCode.GET_CONSUMER_LIST_BY_GROUP: {
        const members = this.groups.get(fields['consumerGroup'])
        return members?.size ? { code: 0, body: encodeConsumerIds([...members.keys()]) } : { code: 1 }
      }
      case RequestCode.QUERY_CONSUMER_OFFSET: {
        const offset = this.offsets.get(offsetKey(fields))
        return offset === undefined ? { code: ResponseCode.QUERY_NOT_FOUND } : withOffset(offset)
      }
      case RequestCode.UPDATE_CONSUMER_OFFSET:
        this.offsets.set(offsetKey(fields), Number(fields['commitOffset']))
        return { code: 0 }
      case RequestCode.GET_MAX_OFFSET:
        return withOffset(this.queue(fields['topic'], Number(fields['queueId'])).length)
      case RequestCode.GET_MIN_OFFSET:
      case RequestCode.SEARCH_OFFSET_BY_TIMESTAMP:
        return withOffset(0)
      case RequestCode.CONSUMER_SEND_MSG_BACK:
        return this.#sendBack(fields)
      case RequestCode.END_TRANSACTION:
        return { code: 0 }
      case RequestCode.LOCK_BATCH_MQ:
        return this.#lock(request)
      case RequestCode.UNLOCK_BATCH_MQ:
        this.#unlock(request)
        return { code: 0 }
      default:
        return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark: ` request type ${request.code} not supported` }
    }
  }

  leave(group: string | undefined, clientId: string | undefined): void {
    if (group === undefined || clientId === undefined || !this.groups.get(group)?.delete(clientId)) return
    this.notifyMembers(group)
  }

  notifyMembers(group: string): void {
    for (const peer of this.groups.get(group)?.values() ?? [])
      peer.notify(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: group })
  }

  closed(peer: FakePeer): void {
    for (const [group, members] of this.groups)
      for (const [clientId, connection] of members) if (connection === peer) this.leave(group, clientId)
  }

  #send({ extFields, body, code }: RemotingCommand): ResponseToEncode {
    const topic = extFields['b']
    const queueId = Number(extFields['e'])
    if (!this.topics.has(topic)) {
      if (extFields['c'] !== 'TBW102' || !this.topics.has('TBW102')) return { code: ResponseCode.TOPIC_NOT_EXIST }
      this.topics.set(topic, { queues: Number(extFields['d']), perm: 6 })
    }
    if (!body) return { code: 1, remark: 'no body' }
    const batch = code === RequestCode.SEND_BATCH_MESSAGE ? decodeBatch(body) : undefined
    if (batch && !batch.ok) return { code: 1, remark: batch.reason }
    const messages = batch?.ok
      ? batch.messages.map(inner => ({ body: Buffer.from(inner.body), properties: parseProperties(inner.properties) }))
      : [
          {
            body,
            properties: parseProperties(extFields['i']),
            sysFlag: Number(extFields['f']),
            reconsumeTimes: Number(extFields['j']),
          },
        ]
    const stored = messages.map(message => this.store(topic, queueId, message))
    const msgId = stored.map(({ position }) => offsetMessageId(this.server.address, position)).join(',')
    return { code: 0, extFields: { msgId, queueId: String(queueId), queueOffset: String(stored[0].offset) } }
  }

  async #pull({ extFields }: RemotingCommand): Promise<ResponseToEncode> {
    const queue = this.queue(extFields['topic'], Number(extFields['queueId']))
    const offset = Number(extFields['queueOffset'])
    const sysFlag = Number(extFields['sysFlag'])
    if (sysFlag & 1) this.offsets.set(offsetKey(extFields), Number(extFields['commitOffset']))
    if (offset === queue.length && sysFlag & 2) await this.#arrival(Number(extFields['suspendTimeoutMillis']))
    const bounds = { suggestWhichBrokerId: '0', minOffset: '0', maxOffset: String(queue.length) }
    if (offset > queue.length)
      return { code: ResponseCode.PULL_OFFSET_MOVED, extFields: { ...bounds, nextBeginOffset: String(queue.length) } }
    const found = queue.slice(offset, offset + Number(extFields['maxMsgNums']))
    if (found.length === 0)
      return { code: ResponseCode.PULL_NOT_FOUND, extFields: { ...bounds, nextBeginOffset: String(offset) } }
    const next = String(offset + found.length)
    return {
      code: 0,
      extFields: { ...bounds, nextBeginOffset: next },
      body: Buffer.concat(found.map(({ record }) => record)),
    }
  }

  #arrival(timeoutMs: number): Promise<void> {
    return new Promise(resolve => {
      const cancel = this.environment.scheduler.after(timeoutMs, () => resolve(), { unref: true })
      this.#waiting.push(() => {
        cancel()
        resolve()
      })
    })
  }

  #heartbeat({ body }: RemotingCommand, peer: FakePeer): ResponseToEncode {
    const heartbeat = decodeHeartbeat(body)
    if (!heartbeat.ok) return { code: 1, remark: heartbeat.reason }
    for (const { groupName, messageModel } of heartbeat.value.consumerDataSet) {
      const members = this.groups.get(groupName) ?? new Map<string, FakePeer>()
      this.groups.set(groupName, members)
      const isNew = members.get(heartbeat.value.clientID) !== peer
      members.set(heartbeat.value.clientID, peer)
      this.topics.set(`%RETRY%${groupName}`, { queues: 1, perm: 6 })
      if (isNew && messageModel === 'CLUSTERING') this.notifyMembers(groupName)
    }
    return { code: 0 }
  }

  #sendBack(fields: Readonly<Record<string, string>>): ResponseToEncode {
    const origin = this.#log[Number(fields['offset'])]
    if (!origin) return { code: 1, remark: 'no such message' }
    const properties = { RETRY_TOPIC: origin.topic, ...origin.properties }
    const { body, reconsumeTimes } = origin
    const deliver = () =>
      this.store(`%RETRY%${fields['group']}`, 0, { body, properties, reconsumeTimes: reconsumeTimes + 1 })
    this.environment.scheduler.after(RETRY_DELAY_MS, deliver)
    return { code: 0 }
  }

  #lock({ body }: RemotingCommand): ResponseToEncode {
    const request = decodeLockBatch(body)
    if (!request.ok) return { code: 1 }
    const { clientId, consumerGroup, mqSet } = request.value
    const granted = mqSet.filter(({ topic, queueId }) => {
      const key = `${consumerGroup}@${topic}:${queueId}`
      const isOurs = (this.locks.get(key) ?? clientId) === clientId
      if (isOurs) this.locks.set(key, clientId)
      return isOurs
    })
    return { code: 0, body: encodeLockedQueues(granted) }
  }

  #unlock({ body }: RemotingCommand): void {
    const request = decodeLockBatch(body)
    if (!request.ok) return
    const { clientId, consumerGroup, mqSet } = request.value
    for (const { topic, queueId } of mqSet) {
      const key = `${consumerGroup}@${topic}:${queueId}`
      if (this.locks.get(key) === clientId) this.locks.delete(key)
    }
  }
}

/** A name server and brokers on one in-memory network. */
export class FakeCluster {
  readonly brokers: FakeBroker[] = []
  nameserver!: FakeServer

  private constructor(readonly environment: Environment) {}

  static async start(environment: Environment, brokerNames: readonly string[] = ['broker-a']): Promise<FakeCluster> {
    const cluster = new FakeCluster(environment)
    cluster.nameserver = await FakeServer.listen(environment, NAMESERVER, request => cluster.#route(request))
    for (const [index, name] of brokerNames.entries()) {
      const broker = new FakeBroker(name, environment)
      const address = { host: `10.0.0.${index + 11}`, port: 10_911 }
      broker.server = await FakeServer.listen(environment, address, (request, peer) => broker.serve(request, peer))
      broker.server.onClose = peer => broker.closed(peer)
      cluster.brokers.push(broker)
    }
    return cluster
  }

  get nameservers(): string {
    return this.nameserver.name
  }

  createTopic(topic: string, queues = 4, perm = 6): void {
    for (const broker of this.brokers) broker.topics.set(topic, { queues, perm })
  }

  #route({ code, extFields }: RemotingCommand): ResponseToEncode {
    const brokerDatas = this.brokers.map(({ name, server }) => ({
      cluster: 'c',
      brokerName: name,
      brokerAddrs: { '0': server.name },
    }))
    if (code === RequestCode.GET_BROKER_CLUSTER_INFO) {
      const brokerAddrTable = Object.fromEntries(brokerDatas.map(data => [data.brokerName, data]))
      return {
        code: 0,
        body: encodeClusterInfo({ brokerAddrTable, clusterAddrTable: { c: this.brokers.map(({ name }) => name) } }),
      }
    }
    if (code !== RequestCode.GET_ROUTEINFO_BY_TOPIC) return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED }
    const holders = this.brokers.filter(({ topics }) => topics.has(extFields['topic']))
    if (holders.length === 0) return { code: ResponseCode.TOPIC_NOT_EXIST, remark: 'no route' }
    const queueDatas = holders.map(({ name, topics }) => {
      const { queues, perm } = topics.get(extFields['topic']) as Topic
      return { brokerName: name, readQueueNums: queues, writeQueueNums: queues, perm, topicSysFlag: 0 }
    })
    const names = new Set(holders.map(({ name }) => name))
    const datas = brokerDatas.filter(({ brokerName }) => names.has(brokerName))
    return { code: 0, body: encodeTopicRoute({ queueDatas, brokerDatas: datas, filterServerTable: {} }) }
  }
}

function offsetKey(fields: Readonly<Record<string, string>>): string {
  return `${fields['consumerGroup']}@${fields['topic']}:${fields['queueId']}`
}

function withOffset(offset: number): ResponseToEncode {
  return { code: 0, extFields: { offset: String(offset) } }
}
