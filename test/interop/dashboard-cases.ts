import { expect } from 'vitest'
import { jsonPaths } from './json-shape.js'
import type { Stage } from './mqadmin-cases.js'
import { type Answer, request } from './remoting.js'
import { feature } from './report.js'
import { apache, type TargetKind } from './targets.js'

/** What the answer's body is. */
type Body = 'json' | 'text' | 'messages' | 'none'

interface Replayed {
  /** Page and action of RocketMQ Dashboard. */
  readonly name: string
  readonly code: number
  readonly to: 'nameServer' | 'broker'
  readonly fields?: (stage: Stage) => Record<string, string>
  readonly sends?: unknown
  readonly body: Body
  readonly answers?: number
}

const group = { consumerGroup: 'stage-group' }
const client = { ...group, clientId: 'stage@stage-consumer' }
const queue = { topic: 'stage', queueId: '0' }
const created = { topic: 'dashboard-made', defaultTopic: 'TBW102', readQueueNums: '2', writeQueueNums: '2', perm: '6' }
const span = { beginTimestamp: '0', endTimestamp: '4102444800000' }
const pulled = { consumerGroup: 'TOOLS_CONSUMER', queueOffset: '0', maxMsgNums: '32', commitOffset: '0' }
const position = ({ offsetId }: Stage) => String(Number.parseInt(offsetId.slice(16), 16))
const sent = {
  a: 'stage-producer',
  b: 'stage',
  c: 'TBW102',
  d: '4',
  e: '0',
  f: '0',
  g: '1',
  h: '0',
  i: 'UNIQ_KEY\u00010A0B0C0D0E0F000000000000000000000000ABCD\u0002WAIT\u0001true',
  j: '0',
  k: 'false',
}

/** In this order, each on a connection of its own. */
const REQUESTS: readonly Replayed[] = [
  { name: 'Ops, Cluster: brokers', code: 106, to: 'nameServer', body: 'json' },
  { name: 'Dashboard, Cluster: runtime', code: 28, to: 'broker', body: 'json' },
  { name: 'Cluster: config', code: 26, to: 'broker', body: 'text' },
  { name: 'Topic: list', code: 206, to: 'nameServer', body: 'json' },
  { name: 'Topic: route', code: 105, to: 'nameServer', fields: () => ({ topic: 'stage' }), body: 'json' },
  {
    name: 'Topic: no route',
    code: 105,
    to: 'nameServer',
    fields: () => ({ topic: 'none' }),
    body: 'none',
    answers: 17,
  },
  { name: 'Topic: config', code: 351, to: 'broker', fields: () => ({ topic: 'stage', lo: 'true' }), body: 'json' },
  { name: 'Topic: all configs', code: 21, to: 'broker', body: 'json' },
  {
    name: 'Topic: create',
    code: 17,
    to: 'broker',
    body: 'none',
    fields: () => ({ ...created, topicFilterType: 'SINGLE_TAG', topicSysFlag: '0', order: 'false' }),
  },
  { name: 'Topic: status', code: 202, to: 'broker', fields: () => ({ topic: 'stage' }), body: 'json' },
  { name: 'Topic: consumers', code: 300, to: 'broker', fields: () => ({ topic: 'stage' }), body: 'json' },
  { name: 'Topic: send', code: 310, to: 'broker', fields: () => sent, sends: 'from the dashboard', body: 'none' },
  {
    name: 'Dashboard: put rate of a topic',
    code: 315,
    to: 'broker',
    fields: () => ({ statsName: 'TOPIC_PUT_NUMS', statsKey: 'stage' }),
    body: 'json',
  },
  {
    name: 'Dashboard: get rate of a group',
    code: 315,
    to: 'broker',
    fields: () => ({ statsName: 'GROUP_GET_NUMS', statsKey: 'stage@stage-group' }),
    body: 'json',
  },
  { name: 'Consumer: list', code: 201, to: 'broker', body: 'json' },
  {
    name: 'Consumer: create',
    code: 200,
    to: 'broker',
    sends: { groupName: 'dashboard-group', retryMaxTimes: 3 },
    body: 'none',
  },
  { name: 'Consumer: config', code: 352, to: 'broker', fields: () => ({ group: 'dashboard-group' }), body: 'json' },
  { name: 'Consumer: progress', code: 208, to: 'broker', fields: () => group, body: 'json' },
  {
    name: 'Consumer: progress of a topic',
    code: 208,
    to: 'broker',
    fields: () => ({ ...group, topic: 'stage' }),
    body: 'json',
  },
  { name: 'Consumer: clients', code: 203, to: 'broker', fields: () => group, body: 'json' },
  {
    name: 'Consumer: clients of a group that left',
    code: 203,
    to: 'broker',
    fields: () => ({ consumerGroup: 'stage-gone' }),
    body: 'none',
    answers: 206,
  },
  {
    name: 'Consumer: running info',
    code: 307,
    to: 'broker',
    fields: () => ({ ...client, jstackEnable: 'true' }),
    body: 'json',
  },
  {
    name: 'Consumer: reset offset',
    code: 222,
    to: 'broker',
    fields: () => ({ group: 'stage-group', topic: 'stage', timestamp: '4102444800000', isForce: 'true' }),
    body: 'json',
  },
  {
    name: 'Consumer: store an offset',
    code: 15,
    to: 'broker',
    fields: () => ({ ...queue, consumerGroup: 'stage-gone', commitOffset: '4' }),
    body: 'none',
  },
  {
    name: 'Consumer: delete',
    code: 207,
    to: 'broker',
    fields: () => ({ groupName: 'dashboard-group', cleanOffset: 'true' }),
    body: 'none',
  },
  {
    name: 'Producer: clients',
    code: 204,
    to: 'broker',
    fields: () => ({ producerGroup: 'stage-producer' }),
    body: 'json',
  },
  { name: 'Message: first offset', code: 31, to: 'broker', fields: () => queue, body: 'none' },
  { name: 'Message: next offset', code: 30, to: 'broker', fields: () => queue, body: 'none' },
  {
    name: 'Message: offset by time',
    code: 29,
    to: 'broker',
    fields: () => ({ ...queue, timestamp: '0' }),
    body: 'none',
  },
  {
    name: 'Message: by topic',
    code: 11,
    to: 'broker',
    fields: () => ({
      ...queue,
      ...pulled,
      sysFlag: '4',
      subscription: '*',
      subVersion: '0',
      suspendTimeoutMillis: '0',
    }),
    body: 'messages',
  },
  {
    name: 'Message: by key',
    code: 12,
    to: 'broker',
    fields: () => ({ topic: 'stage', key: 'key-3', maxNum: '64', ...span }),
    body: 'messages',
  },
  {
    name: 'Message: by a key that nobody has',
    code: 12,
    to: 'broker',
    fields: () => ({ topic: 'stage', key: 'none', maxNum: '64', ...span }),
    body: 'none',
    answers: 22,
  },
  {
    name: 'Message: by unique id',
    code: 12,
    to: 'broker',
    fields: ({ id }) => ({ topic: 'stage', key: id, maxNum: '32', ...span, _UNIQUE_KEY_QUERY: 'true' }),
    body: 'messages',
  },
  {
    name: 'Message: by offset id',
    code: 33,
    to: 'broker',
    fields: stage => ({ offset: position(stage) }),
    body: 'messages',
  },
  {
    name: 'Message: resend to a client',
    code: 309,
    to: 'broker',
    fields: ({ offsetId }) => ({ ...client, msgId: offsetId, brokerName: 'broker-a', topic: 'stage' }),
    body: 'json',
  },
  {
    name: 'Heartbeat of the dashboard',
    code: 34,
    to: 'broker',
    sends: { clientID: 'dashboard', consumerDataSet: [], producerDataSet: [{ groupName: 'SELF_TEST_P_GROUP' }] },
    body: 'none',
  },
  {
    name: 'Unregister of the dashboard',
    code: 35,
    to: 'broker',
    fields: () => ({ clientID: 'dashboard', producerGroup: 'SELF_TEST_P_GROUP' }),
    body: 'none',
  },
  {
    name: 'Topic: delete at the broker',
    code: 215,
    to: 'broker',
    fields: () => ({ topic: 'dashboard-made' }),
    body: 'none',
  },
  {
    name: 'Topic: delete at the name server',
    code: 216,
    to: 'nameServer',
    fields: () => ({ topic: 'dashboard-made' }),
    body: 'none',
  },
]

/** Every request that a page of RocketMQ Dashboard needs: the same answer code, header fields and members on both. */
export function dashboardCases(kinds: readonly TargetKind[], stageOf: (kind: TargetKind) => Stage): void {
  for (const one of REQUESTS) {
    let reference: { header: string[]; members: string[] } | undefined
    for (const kind of kinds) {
      const body = async () => {
        const stage = stageOf(kind)
        const bytes =
          one.sends === undefined
            ? undefined
            : Buffer.from(typeof one.sends === 'string' ? one.sends : JSON.stringify(one.sends))
        const fields = one.fields?.(stage) ?? {}
        const answer = await request(stage.target[one.to], one.code, fields, 10_000, bytes)
        expect(answer).toMatchObject({ code: one.answers ?? 0 })
        const shape = { header: Object.keys(answer.extFields ?? {}).sort(), members: membersOf(one.body, answer) }
        if (kind === apache) reference = shape
        else if (reference) expect(missing(reference, shape)).toEqual({ header: [], members: [] })
      }
      feature(kind.name, 'Dashboard requests', `${one.name} [${one.code}]`, body, 20_000)
    }
  }
}

/** What Apache says and Millrace does not; more is allowed. */
function missing(reference: { header: string[]; members: string[] }, shape: { header: string[]; members: string[] }) {
  return {
    header: reference.header.filter(name => !shape.header.includes(name)),
    members: reference.members.filter(path => !shape.members.includes(path)),
  }
}

function membersOf(body: Body, answer: Answer): string[] {
  if (body === 'json') {
    const paths = jsonPaths(answer.body.toString()).map(path => path.replace(/(commitLogDiskRatio)_.*/, '$1'))
    // Static topics are not served: docs/differences.md.
    return paths.filter(path => !path.startsWith('topicQueueMapping'))
  }
  if (body === 'none') expect(answer.body.length).toBe(0)
  else expect(answer.body.length).toBeGreaterThan(0)
  // Each stored message begins with its size and a magic number.
  if (body === 'messages') expect(answer.body.readUInt32BE(4)).toBe(0xda_a3_20_a7)
  return []
}
