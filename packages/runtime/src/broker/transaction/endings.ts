import { type NetAddress, PropertyName, ResponseCode, SysFlag, SystemTopic } from '@millrace/core'
import type { Appended, MessageStore, MessageToAppend } from '@millrace/storage'
import type { RemotingRequest } from '../../listener/peer.js'
import { DONE, failureReply, Refusal } from '../../requests/answer.js'
import { committedMessage, givenUpMessage, type Half, opRecords, realTopic } from './half-message.js'
import type { UnmarkedEnd } from './half-recovery.js'
import { HALF, type HalfState, type HalfStates } from './half-states.js'
import type { TransactionCounters } from './transaction-counters.js'

export interface EndingsOptions {
  readonly states: HalfStates
  readonly store: Pick<MessageStore, 'append' | 'findByKey' | 'logEnd'>
  readonly counters: TransactionCounters
  /** First op record that `states` does not have. */
  readonly opOffset: number
  /** Written into op records. */
  readonly host: NetAddress
  readonly now: () => number
  readonly tell: (news: EndingNews) => void
  /** Messages that need another place than their topic: delayed ones. */
  readonly placed: (message: MessageToAppend) => MessageToAppend
}

/** A half message on its way from undecided to ended. */
export interface Ending {
  readonly offset: number
  readonly state: HalfState
  readonly topic: string
  /** End of the log when this began: what it stores lies behind. */
  readonly logEnd: number
  /** The producers' requests to be answered when the decision cannot be lost any more. */
  waiting: RemotingRequest[]
  /** The decision is in the log; the op record may still be missing. */
  isDecided: boolean
}

/** What became of an append, for the actor that owns the endings. */
export type EndingNews =
  | { readonly kind: 'stored'; readonly ending: Ending; readonly error: unknown }
  | {
      readonly kind: 'ops-stored'
      readonly endings: readonly Ending[]
      readonly at: Appended | undefined
      readonly error: unknown
    }

/**
 * Ends half messages, each once. A commit stores the message first and the op record after it; a message in the log is
 * the decision, since recovery finds it there. A rollback is decided by its op record.
 */
export class Endings {
  readonly #inFlight = new Map<number, Ending>()
  /** Decided or rolled back; their op record comes with the next batch. */
  #unmarked: Ending[] = []
  #opsInFlight = 0
  #opOffset: number

  constructor(private readonly options: EndingsOptions) {
    this.#opOffset = options.opOffset
  }

  /** Ends that are in the log and lack their op record: found after a crash. */
  restore(unmarked: readonly UnmarkedEnd[]): void {
    for (const { offset, state } of unmarked) {
      this.options.states.begin(offset, state)
      const ending = { offset, state, topic: '', logEnd: 0, waiting: [], isDecided: true }
      this.#inFlight.set(offset, ending)
      this.#unmarked.push(ending)
    }
  }

  get isIdle(): boolean {
    return this.#inFlight.size === 0 && this.#opsInFlight === 0
  }

  /** How far the log holds nothing that lacks its op record, and the first op record that is not settled here. */
  get progress(): { readonly op: number; readonly position: number; readonly logEnd: number } {
    const { logEnd } = this.options.store
    const oldest = this.#inFlight.values().next().value
    return { op: this.#opOffset, position: oldest === undefined ? logEnd : Math.min(logEnd, oldest.logEnd), logEnd }
  }

  /** Commits or rolls back; answers `request` when that is certain. @throws Refusal 604 when it has ended otherwise */
  end(half: Half, state: HalfState, request: RemotingRequest): void {
    const { queueOffset } = half.message
    const known = this.options.states.get(queueOffset)
    if (known === HALF.undecided) {
      const message = state === HALF.committed ? this.options.placed(committedMessage(half)) : undefined
      const ending = this.#begin(half, state)
      ending.waiting.push(request)
      if (message !== undefined) this.#store(ending, message)
      else this.#unmarked.push(ending)
      return
    }
    const outcome = known === HALF.ended ? this.#outcomeOf(half) : known
    const inFlight = this.#inFlight.get(queueOffset)
    if (outcome !== state)
      throw new Refusal(
        ResponseCode.ILLEGAL_OPERATION,
        `half message at queue offset ${queueOffset} has ${inFlight?.isDecided === false ? 'begun to be' : 'been'} ${NAMES[outcome]}; a transaction ends once`,
      )
    // The same request again: the client did not see the answer, or a check-back came in between.
    if (inFlight?.isDecided === false) inFlight.waiting.push(request)
    else request.peer.reply(request.command, DONE)
  }

  /** Moves a half message away that nobody decided about. */
  giveUp(half: Half, checks: number): void {
    this.#store(this.#begin(half, HALF.givenUp), givenUpMessage(half, checks))
  }

  /** A half message that the log has lost. */
  forget(offset: number): void {
    this.options.states.settle(offset, HALF.ended)
  }

  #begin({ message, properties }: Half, state: HalfState): Ending {
    const offset = message.queueOffset
    this.options.states.begin(offset, state)
    const topic = realTopic(properties)
    const ending: Ending = { offset, state, topic, logEnd: this.options.store.logEnd, waiting: [], isDecided: false }
    this.#inFlight.set(offset, ending)
    return ending
  }

  #store(ending: Ending, message: MessageToAppend): void {
    this.options.store.append(message).then(
      () => this.options.tell({ kind: 'stored', ending, error: undefined }),
      (error: unknown) => this.options.tell({ kind: 'stored', ending, error }),
    )
  }

  /** Stores the op records of everything that waits for one. */
  mark(): void {
    if (this.#unmarked.length === 0) return
    const endings = this.#unmarked
    this.#unmarked = []
    const offsets = endings.map(({ offset }) => offset)
    let first = 0
    for (const record of opRecords(offsets, this.options.host, this.options.now())) {
      const marked = endings.slice(first, (first += record.offsets.length))
      this.#opsInFlight++
      this.options.store.append(record.message).then(
        at => this.options.tell({ kind: 'ops-stored', endings: marked, at, error: undefined }),
        (error: unknown) => this.options.tell({ kind: 'ops-stored', endings: marked, at: undefined, error }),
      )
    }
  }

  take(news: EndingNews): void {
    if (news.kind === 'stored') this.#stored(news.ending, news.error)
    else this.#marked(news.endings, news.at, news.error)
  }

  #stored(ending: Ending, error: unknown): void {
    if (error !== undefined) {
      this.#fail(ending, error)
      return
    }
    this.#decided(ending)
    this.#unmarked.push(ending)
  }

  #marked(endings: readonly Ending[], at: Appended | undefined, error: unknown): void {
    this.#opsInFlight--
    if (at !== undefined) this.#opOffset = at.queueOffset + 1
    for (const ending of endings) {
      if (error === undefined) {
        this.#decided(ending)
        this.options.states.settle(ending.offset, ending.state)
        this.#inFlight.delete(ending.offset)
      } else if (ending.isDecided) this.#unmarked.push(ending)
      else this.#fail(ending, error)
    }
  }

  #decided(ending: Ending): void {
    if (ending.isDecided) return
    ending.isDecided = true
    this.options.counters.ended(ending.topic, ending.state)
    for (const { command, peer } of ending.waiting) peer.reply(command, DONE)
    ending.waiting = []
  }

  #fail(ending: Ending, error: unknown): void {
    this.options.states.undo(ending.offset)
    this.#inFlight.delete(ending.offset)
    for (const { command, peer } of ending.waiting) peer.reply(command, failureReply(error))
    ending.waiting = []
  }

  /** How a half message ended long ago: a commit has left its message. */
  #outcomeOf({ message, properties }: Half): HalfState {
    const key = properties[PropertyName.UNIQ_KEY]
    if (key === undefined) return HALF.ended
    const range = { fromMs: message.storeTimestamp, toMs: Number.MAX_SAFE_INTEGER, maxCount: 32, uniqueOnly: true }
    const isCommit = (record: Buffer): boolean =>
      (record.readInt32BE(SYS_FLAG_AT) & SysFlag.TRANSACTION_MASK) === SysFlag.TRANSACTION_COMMIT
    if (this.options.store.findByKey(realTopic(properties), key, range).some(isCommit)) return HALF.committed
    if (this.options.store.findByKey(SystemTopic.TRANS_CHECK_MAX_TIME, key, range).length > 0) return HALF.givenUp
    return HALF.rolledBack
  }
}

const SYS_FLAG_AT = 36
const NAMES: Readonly<Record<HalfState, string>> = {
  [HALF.undecided]: 'left undecided',
  [HALF.committed]: 'committed',
  [HALF.rolledBack]: 'rolled back',
  [HALF.givenUp]: 'given up after too many checks',
  [HALF.ended]: 'ended',
}
