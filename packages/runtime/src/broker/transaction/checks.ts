import { offsetMessageId, PropertyName, RequestCode, SystemTopic } from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import type { Peer } from '../../listener/peer.js'
import type { Producers } from '../groups/producers.js'
import { checkBody, HALF_QUEUE, type Half, readHalf, realTopic } from './half-message.js'
import type { HalfStore } from './half-recovery.js'
import type { HalfStates } from './half-states.js'
import type { TransactionCounters } from './transaction-counters.js'

export interface ChecksOptions {
  readonly config: BrokerConfig
  readonly states: HalfStates
  readonly store: HalfStore
  readonly producers: Producers
  readonly counters: TransactionCounters
  readonly giveUp: (half: Half, checks: number) => void
  /** The log does not hold this half message any more. */
  readonly onGone: (offset: number) => void
}

/** Looked at in one go; requests have their turn in between. */
const SLICE_HALVES = 128
const SLICE_BYTES_MAX = 1024 * 1024
const HOUR_MS = 3_600_000
const SECOND_MS = 1_000

/**
 * Asks producers what became of half messages that are undecided for too long. One round looks at each of them once,
 * oldest first. A check counts when it reached a producer; half messages that were checked too often, or are as old as
 * the log may be, are given up. behaviour.md §12 @see RocketMQ `TransactionalMessageServiceImpl#check`
 */
export class CheckRound {
  #offset = 0
  #end = 0
  /** Members of a group have their turns. */
  readonly #turns = new Map<string, number>()

  constructor(private readonly options: ChecksOptions) {}

  begin(): void {
    const { states, store } = this.options
    states.forgetBefore(store.minOffset(SystemTopic.TRANS_HALF, HALF_QUEUE))
    this.#offset = states.first
    this.#end = store.maxOffset(SystemTopic.TRANS_HALF, HALF_QUEUE)
    this.#turns.forEach((_, group) => {
      if (this.options.producers.members(group) === undefined) this.#turns.delete(group)
    })
  }

  /** Looks at some more. False when the round is over. */
  goOn(now: number): boolean {
    const { config, states, store } = this.options
    let bytes = 0
    for (let count = 0; count < SLICE_HALVES && bytes < SLICE_BYTES_MAX; count++) {
      const offset = states.nextUndecided(this.#offset, this.#end)
      if (offset >= this.#end) return false
      this.#offset = offset + 1
      const entry = store.entry(SystemTopic.TRANS_HALF, HALF_QUEUE, offset)
      const half = entry && readHalf(store, entry.position)
      if (half === undefined) {
        this.options.onGone(offset)
        continue
      }
      const ageMs = now - half.message.storeTimestamp
      // The following ones are younger.
      if (ageMs < config.transactionTimeOut) return false
      if (ageMs < immunityMs(half.properties)) continue
      bytes += this.#check(half, ageMs)
    }
    return true
  }

  /** Returns the bytes sent. */
  #check(half: Half, ageMs: number): number {
    const { config, counters, giveUp, states } = this.options
    const { message, properties } = half
    const checks = Math.max(
      states.checks(message.queueOffset),
      Number(properties[PropertyName.TRANSACTION_CHECK_TIMES] ?? 0) || 0,
    )
    if (checks >= config.transactionCheckMax || ageMs > config.fileReservedTime * HOUR_MS) {
      giveUp(half, checks)
      return message.sizeBytes
    }
    const peer = this.#producerOf(properties[PropertyName.PGROUP] ?? '')
    if (peer === undefined) return 0
    states.setChecks(message.queueOffset, checks + 1)
    counters.checksSent++
    const uniqueKey = properties[PropertyName.UNIQ_KEY] ?? ''
    peer.notify({
      code: RequestCode.CHECK_TRANSACTION_STATE,
      extFields: {
        topic: realTopic(properties),
        tranStateTableOffset: String(message.queueOffset),
        commitLogOffset: String(message.commitLogOffset),
        msgId: uniqueKey,
        transactionId: uniqueKey,
        offsetMsgId: offsetMessageId(message.storeHost, message.commitLogOffset),
        bname: config.brokerName,
      },
      body: checkBody(half, checks + 1),
    })
    return message.sizeBytes
  }

  /** A connection of the group, another one each time. */
  #producerOf(group: string): Peer | undefined {
    const open = (this.options.producers.members(group) ?? []).filter(({ peer }) => peer.isOpen)
    if (open.length === 0) return undefined
    const turn = (this.#turns.get(group) ?? -1) + 1
    this.#turns.set(group, turn)
    return open[turn % open.length]?.peer
  }
}

/** Time that a producer asked for before its first check. */
export function immunityMs(properties: Half['properties']): number {
  const seconds = Number(properties[PropertyName.CHECK_IMMUNITY_TIME_IN_SECONDS] ?? 0)
  return Number.isFinite(seconds) && seconds > 0 ? seconds * SECOND_MS : 0
}
