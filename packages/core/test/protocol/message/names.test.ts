import { describe, expect, it } from 'vitest'
import { bodyCrc } from '../../../src/protocol/message/body-crc.js'
import { DEFAULT_DELAY_LEVELS, delayLevelMs, parseDelayLevels } from '../../../src/protocol/message/delay-level.js'
import { formatPermission, isInherited, isReadable, isWriteable } from '../../../src/protocol/message/permission.js'
import { formatProperties, parseProperties } from '../../../src/protocol/message/properties.js'
import { allocateQueues, type RebalanceStrategy } from '../../../src/protocol/message/rebalance.js'
import { parseTagExpression, tagHash } from '../../../src/protocol/message/tag.js'
import {
  dlqTopic,
  isSendForbidden,
  isSystemGroup,
  isSystemTopic,
  popRetryTopic,
  retryTopic,
  validateGroup,
  validateTopic,
} from '../../../src/protocol/message/topic.js'
import { vectors } from '../vectors.js'

it.each(vectors<{ text: string; crc32: number }>('bodycrc'))('bodyCrc($text) is $crc32', ({ text, crc32 }) => {
  expect(bodyCrc(Buffer.from(text))).toBe(crc32)
})

it.each(vectors<{ tag: string; hash: number }>('tags'))('tagHash($tag) is $hash', ({ tag, hash }) => {
  expect(tagHash(tag)).toBe(hash)
})

interface SubscriptionCase {
  readonly subString: string
  readonly normalized: string
  readonly tagsSet: readonly string[]
  readonly codeSet: readonly number[]
}

it.each(vectors<SubscriptionCase>('subscriptions'))('parses the tag expression "$subString"', subscription => {
  const parsed = parseTagExpression(subscription.subString)
  expect(parsed.text).toBe(subscription.normalized)
  expect(parsed.tags).toEqual(subscription.tagsSet)
  expect([...parsed.tagHashes]).toEqual(subscription.codeSet)
  expect(parsed.isAll).toBe(subscription.normalized === '*')
})

describe('topic and group names', () => {
  interface TopicCase {
    readonly topic: string
    readonly valid: boolean
    readonly remark: string
    readonly system: boolean
    readonly sendForbidden: boolean
  }

  it.each(vectors<TopicCase>('topics'))('judges "$topic" as the official broker does', c => {
    expect(validateTopic(c.topic)).toEqual(c.valid ? { ok: true } : { ok: false, reason: c.remark })
    expect(isSystemTopic(c.topic)).toBe(c.system)
    expect(isSendForbidden(c.topic)).toBe(c.sendForbidden)
  })

  it('bounds group names', () => {
    expect(validateGroup('g'.repeat(120))).toEqual({ ok: true })
    for (const group of ['', '  ', 'a b', 'g'.repeat(121)]) expect(validateGroup(group)).toMatchObject({ ok: false })
    expect(isSystemGroup('CID_ONSAPI_PULL')).toBe(true)
    expect(isSystemGroup('CID_RMQ_SYS_x')).toBe(true)
    expect(isSystemGroup('orders')).toBe(false)
  })

  it('names retry and dead-letter topics', () => {
    const names = vectors<{ v1?: string; v2: string; pullRetry: string; dlq: string }>('pop').find(c => c.v1)
    expect({
      what: 'retry topic names',
      v1: popRetryTopic('cg', 'TopicTest'),
      v2: popRetryTopic('cg', 'TopicTest', 2),
      pullRetry: retryTopic('cg'),
      dlq: dlqTopic('cg'),
    }).toEqual(names)
  })
})

interface PermissionCase {
  readonly perm: number
  readonly text: string
  readonly readable: boolean
  readonly writeable: boolean
  readonly inherited: boolean
}

it.each(vectors<PermissionCase>('perms'))('permission $perm is $text', c => {
  expect(formatPermission(c.perm)).toBe(c.text)
  expect([isReadable(c.perm), isWriteable(c.perm), isInherited(c.perm)]).toEqual([c.readable, c.writeable, c.inherited])
})

describe('delay levels', () => {
  const levels = parseDelayLevels(DEFAULT_DELAY_LEVELS) ?? []

  it.each(vectors<{ level: number; text: string; millis: number }>('delaylevels'))('$level is $text', c => {
    expect(delayLevelMs(levels, c.level)).toBe(c.millis)
    expect(parseDelayLevels(c.text)).toEqual([c.millis])
  })

  it('counts levels above the last as the last', () => {
    expect(delayLevelMs(levels, 99)).toBe(7_200_000)
  })

  it.each(['', '1', '1s 2', '1w', '-1s', '1.5s'])('refuses "%s"', text => {
    expect(parseDelayLevels(text)).toBeUndefined()
  })
})

describe('property strings', () => {
  interface PropertyCase {
    readonly properties?: Record<string, string>
    readonly encoded: string
    readonly encodedHex: string
    readonly decodedBack: Record<string, string>
  }

  it.each(vectors<PropertyCase>('properties'))('reads and writes $encodedHex', c => {
    expect({ ...parseProperties(c.encoded) }).toEqual(c.decodedBack)
    expect({ ...parseProperties(Buffer.from(c.encodedHex, 'hex')) }).toEqual(c.decodedBack)
    if (c.properties !== undefined) expect(formatProperties(c.properties)).toBe(c.encoded)
  })

  it('leaves undefined values out', () => {
    expect(formatProperties({ a: '1', b: undefined })).toBe('a\u00011\u0002')
  })
})

interface RebalanceCase {
  readonly strategy: RebalanceStrategy
  readonly topic: string
  readonly queues: readonly string[]
  readonly clients: readonly string[]
  /** The official allocator throws on an empty queue list, which its callers skip: text then. */
  readonly assignment: Record<string, readonly string[] | string>
}

it.each(vectors<RebalanceCase>('rebalance').map((c, i) => [`${i} ${c.strategy}`, c] as const))(
  'allocates queues as the official library does: case %s',
  (_name, { strategy, topic, queues, clients, assignment }) => {
    const all = queues.map(text => {
      const [brokerName, queueId] = text.split(':')
      return { topic, brokerName, queueId: Number(queueId) }
    })
    for (const client of clients) {
      // Order of the inputs must not matter.
      const mine = allocateQueues(strategy, client, clients.toReversed(), all.toReversed())
      expect(mine.map(queue => `${queue.brokerName}:${queue.queueId}`)).toEqual(
        queues.length === 0 ? [] : assignment[client],
      )
    }
    expect(allocateQueues(strategy, 'stranger', clients, all)).toEqual([])
  },
)
