import { type Decoded, decodeObject, numberOf, objectsOf, textOf } from '../body/fields.js'
import { formatJsonBody } from '../json/lenient-json.js'
import { formatBitSet, parseBitSet } from './bit-set.js'

/** Acknowledges several messages of one pop. */
export interface BatchAck {
  readonly consumerGroup: string
  readonly topic: string
  readonly retryFlag: string
  readonly startOffset: number
  readonly queueId: number
  readonly reviveQueueId: number
  readonly popTime: number
  readonly invisibleTime: number
  /** Positions of the acknowledged messages after `startOffset`, ascending. */
  readonly bits: readonly number[]
}

/** Body of BATCH_ACK_MESSAGE (200151). */
export interface BatchAckBody {
  readonly brokerName: string
  readonly acks: readonly BatchAck[]
}

export function decodeBatchAck(body: Uint8Array | undefined): Decoded<BatchAckBody> {
  return decodeObject(body, members => ({
    brokerName: textOf(members['brokerName']),
    acks: objectsOf(members['acks'], ack => ({
      consumerGroup: textOf(ack['c']),
      topic: textOf(ack['t']),
      retryFlag: textOf(ack['r']),
      startOffset: numberOf(ack['so']),
      queueId: numberOf(ack['q']),
      reviveQueueId: numberOf(ack['rq']),
      popTime: numberOf(ack['pt']),
      invisibleTime: numberOf(ack['it']),
      bits: parseBitSet(textOf(ack['b'])),
    })),
  }))
}

export function encodeBatchAck({ brokerName, acks }: BatchAckBody): Buffer {
  return formatJsonBody({
    acks: acks.map(ack => ({
      b: formatBitSet(ack.bits),
      c: ack.consumerGroup,
      it: ack.invisibleTime,
      pt: ack.popTime,
      q: ack.queueId,
      r: ack.retryFlag,
      rq: ack.reviveQueueId,
      so: ack.startOffset,
      t: ack.topic,
    })),
    brokerName,
  })
}
