import { describe, expect, it } from 'vitest'
import type { Decoded } from '../../../src/protocol/body/fields.js'
import { decodeHeartbeat, encodeHeartbeat } from '../../../src/protocol/body/heartbeat.js'
import {
  decodeConsumerIds,
  decodeLockBatch,
  decodeLockedQueues,
  decodeQueueOffsets,
  encodeConsumerIds,
  encodeLockBatch,
  encodeLockedQueues,
  encodeQueueOffsets,
} from '../../../src/protocol/body/queues.js'
import {
  decodeClusterInfo,
  decodeTopicRoute,
  encodeClusterInfo,
  encodeTopicRoute,
} from '../../../src/protocol/body/route.js'
import {
  decodeRegisterBroker,
  decodeTopicConfig,
  decodeTopicConfigList,
  decodeTopicConfigTable,
  encodeRegisterBroker,
  encodeTopicConfig,
  encodeTopicConfigTable,
} from '../../../src/protocol/body/topic-config.js'
import { parseLenientJson } from '../../../src/protocol/json/lenient-json.js'
import { vectors } from '../vectors.js'

interface BodyCase {
  readonly name: string
  readonly requestCode: number
  readonly requestBodyText: string | null
  readonly bodyText: string | null
}

interface FrameCase {
  readonly name: string
  readonly decoded: { readonly bodyText: string | null }
}

function json(text: string | Uint8Array): unknown {
  const result = parseLenientJson(text)
  return result.ok ? plain(result.value) : result
}

/** Objects with the prototype that vitest compares with. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [plain(key), plain(member)]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

function rewritten<T>(text: string, decode: (body: Buffer) => Decoded<T>, encode: (value: T) => Buffer): unknown {
  const result = decode(Buffer.from(text))
  if (!result.ok) throw new Error(result.reason)
  return json(encode(result.value))
}

const BODIES = vectors<BodyCase>('bodies')
const FRAMES = vectors<FrameCase>('frames')

function answers(code: number): readonly (readonly [string, string])[] {
  return BODIES.filter(c => c.requestCode === code && c.bodyText).map(c => [c.name, c.bodyText ?? ''] as const)
}

function frameBody(name: string): string {
  return FRAMES.find(c => c.name === name)?.decoded.bodyText ?? ''
}

describe('bodies of the official broker and name server survive decoding and encoding', () => {
  it.each([...answers(105), ['legacy JSON', frameBody('get_route_response_legacy_json')] as const])(
    'route: %s',
    (_name, text) => {
      expect(rewritten(text, decodeTopicRoute, encodeTopicRoute)).toEqual(json(text))
    },
  )

  it.each(answers(106))('cluster info: %s', (_name, text) => {
    expect(rewritten(text, decodeClusterInfo, encodeClusterInfo)).toEqual(json(text))
  })

  it.each(answers(38))('consumer ids: %s', (_name, text) => {
    expect(rewritten(text, decodeConsumerIds, encodeConsumerIds)).toEqual(json(text))
  })

  it.each(answers(41))('locked queues: %s', (_name, text) => {
    expect(rewritten(text, decodeLockedQueues, encodeLockedQueues)).toEqual(json(text))
  })

  it.each(BODIES.filter(c => c.requestCode === 41).map(c => c.requestBodyText ?? ''))('lock request: %s', text => {
    expect(rewritten(text, decodeLockBatch, encodeLockBatch)).toEqual({
      onlyThisBroker: false,
      ...(json(text) as object),
    })
  })

  it.each(answers(222))('offset table: %s', (_name, text) => {
    const encode = (offsets: Parameters<typeof encodeQueueOffsets>[1]) => encodeQueueOffsets('offsetTable', offsets)
    expect(rewritten(text, body => decodeQueueOffsets(body, 'offsetTable'), encode)).toEqual(json(text))
  })

  it.each(answers(351))('topic config: %s', (_name, text) => {
    expect(rewritten(text, decodeTopicConfig, encodeTopicConfig)).toEqual(json(text))
  })

  it.each(answers(21))('topic config table: %s', (_name, text) => {
    const volatile = { mappingDataVersion: expect.anything() }
    expect(rewritten(text, decodeTopicConfigTable, encodeTopicConfigTable)).toEqual({
      ...(json(text) as object),
      ...volatile,
    })
  })

  it('register broker', () => {
    const text = frameBody('register_broker')
    const wanted = json(text) as { topicConfigSerializeWrapper: object }
    expect(rewritten(text, decodeRegisterBroker, encodeRegisterBroker)).toEqual({
      ...wanted,
      topicConfigSerializeWrapper: { ...wanted.topicConfigSerializeWrapper, mappingDataVersion: expect.anything() },
    })
  })

  it.each(['heart_beat', 'heart_beat_v2'])('%s', name => {
    const text = frameBody(name)
    expect(rewritten(text, decodeHeartbeat, encodeHeartbeat)).toEqual(json(text))
  })
})

it('reads the heartbeat of the C++ client: ordinals, a version as text, members left out', () => {
  const text =
    '{"clientID":"c@1","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":"g","messageModel":1,' +
    '"subscriptionDataSet":[{"subString":"*","subVersion":"1700000000000","topic":"T"}]}]}'
  expect(decodeHeartbeat(Buffer.from(text))).toEqual({
    ok: true,
    value: {
      clientID: 'c@1',
      producerDataSet: [],
      consumerDataSet: [
        {
          groupName: 'g',
          consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
          consumeType: 'CONSUME_PASSIVELY',
          messageModel: 'CLUSTERING',
          unitMode: false,
          subscriptionDataSet: [
            {
              topic: 'T',
              subString: '*',
              subVersion: 1_700_000_000_000,
              expressionType: 'TAG',
              tagsSet: [],
              codeSet: [],
              classFilterMode: false,
            },
          ],
        },
      ],
      heartbeatFingerprint: 0,
      withoutSub: false,
    },
  })
})

it('reads a list of topic configs', () => {
  const result = decodeTopicConfigList(
    Buffer.from('{"topicConfigList":[{"topicName":"a","perm":4},{"topicName":"b"}]}'),
  )
  expect(result.ok && result.value.map(config => [config.topicName, config.perm, config.readQueueNums])).toEqual([
    ['a', 4, 16],
    ['b', 6, 16],
  ])
})

it.each([undefined, Buffer.from(''), Buffer.from('[]'), Buffer.from('nope')])(
  'gives a reason for a body that is no object',
  body => {
    expect(decodeHeartbeat(body)).toMatchObject({ ok: false, reason: expect.any(String) })
  },
)
