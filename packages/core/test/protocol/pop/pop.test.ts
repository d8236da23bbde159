import { expect, it } from 'vitest'
import { decodeBatchAck, encodeBatchAck } from '../../../src/protocol/pop/batch-ack.js'
import { parseBitSet } from '../../../src/protocol/pop/bit-set.js'
import { formatExtraInfo, ORDERED_REVIVE_QUEUE, parseExtraInfo } from '../../../src/protocol/pop/extra-info.js'
import { formatOffsetInfo, parseOffsetInfo } from '../../../src/protocol/pop/offset-info.js'
import { formatRecallHandle, parseRecallHandle } from '../../../src/protocol/pop/recall-handle.js'
import { vectors } from '../vectors.js'

interface PopCase {
  readonly extraInfo?: string
  readonly ckQueueOffset: number
  readonly popTime: number
  readonly invisibleTime: number
  readonly reviveQid: number
  readonly retryFlag: string
  readonly brokerName: string
  readonly queueId: number
  readonly msgQueueOffset: number
  readonly order: boolean
  readonly startOffsetInfo?: string
  readonly parsedStart: Record<string, number>
  readonly msgOffsetInfo: string
  readonly parsedMsg: Record<string, number[]>
  readonly orderCountInfo: string
  readonly parsedOrder: Record<string, number>
  readonly bits?: number[]
  readonly json: string
  readonly handle?: string
  readonly plain: string
}

const CASES = vectors<PopCase>('pop')

it.each(CASES.filter(c => c.extraInfo !== undefined))('reads and writes the receipt $extraInfo', c => {
  const info = parseExtraInfo(c.extraInfo ?? '')
  expect(info).toEqual({
    checkpointOffset: c.ckQueueOffset,
    popTime: c.popTime,
    invisibleTime: c.invisibleTime,
    reviveQueueId: c.reviveQid,
    retryFlag: c.retryFlag,
    brokerName: c.brokerName,
    queueId: c.queueId,
    queueOffset: c.msgQueueOffset,
  })
  expect(info && formatExtraInfo(info)).toBe(c.extraInfo)
  expect(info?.reviveQueueId === ORDERED_REVIVE_QUEUE).toBe(c.order)
})

it.each(['', '1 2 3', '1 2 3 4 0 b 5 x', '1 2 3 4 0  5 6', '1 2 3 4 0 b 5 99999999999999999999'])(
  'reads no receipt from "%s"',
  text => {
    expect(parseExtraInfo(text)).toBeUndefined()
  },
)

it('reads and writes the offset infos of a pop answer', () => {
  const infos = CASES.find(c => c.startOffsetInfo !== undefined)
  if (infos?.startOffsetInfo === undefined) throw new Error('no such case')
  const table = (text: string) =>
    Object.fromEntries(
      (parseOffsetInfo(text) ?? []).map(({ retryFlag, queue, offsets }) => [`${retryFlag}@${queue}`, offsets]),
    )
  const single = (offsets: Record<string, number>) =>
    Object.fromEntries(Object.entries(offsets).map(([queue, offset]) => [queue, [offset]]))
  expect(table(infos.startOffsetInfo)).toEqual(single(infos.parsedStart))
  expect(table(infos.msgOffsetInfo)).toEqual(infos.parsedMsg)
  expect(table(infos.orderCountInfo)).toEqual(single(infos.parsedOrder))
  for (const text of [infos.startOffsetInfo, infos.msgOffsetInfo, infos.orderCountInfo])
    expect(formatOffsetInfo(parseOffsetInfo(text) ?? [])).toBe(text)
  expect(parseOffsetInfo('')).toEqual([])
  for (const text of [';', '0 3', '0 3 x', '0 3 1,']) expect(parseOffsetInfo(text)).toBeUndefined()
})

it.each(CASES.filter(c => c.bits !== undefined))(
  'reads and writes a batch acknowledgement of $bits',
  ({ bits, json }) => {
    const body = Buffer.from(`{"acks":[${json}],"brokerName":"broker-a"}`)
    const result = decodeBatchAck(body)
    if (!result.ok) throw new Error(result.reason)
    expect(result.value.acks).toEqual([
      {
        consumerGroup: 'cg',
        topic: 'T',
        retryFlag: '0',
        startOffset: 100,
        queueId: 1,
        reviveQueueId: 2,
        popTime: 1_700_000_000_500,
        invisibleTime: 60_000,
        bits,
      },
    ])
    expect(encodeBatchAck(result.value).toString()).toBe(body.toString())
  },
)

it('does not read absurdly long bit sets', () => {
  expect(parseBitSet('/'.repeat(5000))).toEqual([])
})

it('reads and writes recall handles', () => {
  const recall = CASES.find(c => c.handle !== undefined)
  const handle = parseRecallHandle(recall?.handle ?? '')
  const [, topic, brokerName, deliverTime, uniqueKey] = (recall?.plain ?? '').split(' ')
  expect(handle).toEqual({ topic, brokerName, deliverTime: Number(deliverTime), uniqueKey })
  expect(handle && formatRecallHandle(handle)).toBe(recall?.handle)
  for (const text of ['', 'x', Buffer.from('v2 a b 1 c').toString('base64')])
    expect(parseRecallHandle(text)).toBeUndefined()
})
