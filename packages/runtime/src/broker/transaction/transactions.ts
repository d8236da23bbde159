import {
  type ActorContext,
  assertNever,
  type Behavior,
  type Cancel,
  type ReplyTo,
  receiveBatch,
  SystemTopic,
  setup,
} from '@millrace/core'
import type { MessageStore, MessageToAppend } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest } from '../../listener/peer.js'
import { failureReply } from '../../requests/answer.js'
import type { Producers } from '../groups/producers.js'
import type { Topics } from '../topics/topics.js'
import { CheckRound } from './checks.js'
import { decisionOf, halfToEnd } from './end-request.js'
import { type EndingNews, Endings } from './endings.js'
import { HALF_QUEUE } from './half-message.js'
import { type RecoveredHalves, storeCheckpoint, type TransactionTable } from './half-recovery.js'
import { ResumedHalves } from './resume-half.js'
import type { TransactionCounters } from './transaction-counters.js'

/** What the transactions actor takes. */
export type TransactionsMessage =
  /** END_TRANSACTION [37]. */
  | { readonly kind: 'end'; readonly request: RemotingRequest }
  /** RESUME_CHECK_HALF_MESSAGE [323]. */
  | { readonly kind: 'resume'; readonly request: RemotingRequest }
  | EndingNews
  | { readonly kind: 'checks-due' }
  | { readonly kind: 'checks-go-on' }
  | { readonly kind: 'mark-again' }
  | { readonly kind: 'checkpoint-due' }
  | { readonly kind: 'checkpoint-stored' }
  /** The reply comes when everything that was begun is in the log, with its op record. */
  | { readonly kind: 'stop'; readonly reply: ReplyTo<void> }

export interface TransactionsOptions {
  readonly config: BrokerConfig
  readonly store: MessageStore
  readonly table: TransactionTable
  readonly producers: Producers
  readonly topics: Topics
  readonly counters: TransactionCounters
  /** The message to store for a committed one: another when it is delayed. */
  readonly placed: (message: MessageToAppend) => MessageToAppend
}

const CHECKPOINT_INTERVAL_MS = 5_000
/** Log that a start reads at most, however few transactions there are. */
const UNSAVED_BYTES_MAX = 256 * 2 ** 20
/** Between two slices of a round of checks. */
const SLICE_PAUSE_MS = 5
/** After the disk refused an op record. */
const MARK_AGAIN_MS = 1_000
/** Op records carry an address; nobody uses it. */
const NOWHERE = { host: '127.0.0.1', port: 0 }

/**
 * The transactions of a broker: owns the state of every half message, serves commits and rollbacks, checks back.
 * A batch of requests is served together, and gets its op records together.
 */
export function transactions(options: TransactionsOptions, recovered: RecoveredHalves): Behavior<TransactionsMessage> {
  return setup(context => new Transactions(options, recovered, context).start())
}

class Transactions {
  readonly #endings: Endings
  readonly #round: CheckRound
  readonly #resumed: ResumedHalves
  #isSaving = false
  #savedPosition = 0
  #cancelMark: Cancel | undefined
  #stopped: ReplyTo<void> | undefined

  constructor(
    private readonly options: TransactionsOptions,
    private readonly recovered: RecoveredHalves,
    private readonly context: ActorContext<TransactionsMessage>,
  ) {
    const { config, counters, placed, producers, store, topics } = options
    const { clock, self } = context
    const { opOffset, states, unmarked } = recovered
    this.#endings = new Endings({
      states,
      store,
      counters,
      placed,
      opOffset,
      host: NOWHERE,
      now: () => clock.now(),
      tell: news => self.tell(news),
    })
    this.#endings.restore(unmarked)
    this.#round = new CheckRound({
      config,
      states,
      store,
      producers,
      counters,
      giveUp: (half, checks) => {
        // The message is stored whether or not its topic can be listed at this moment.
        void Promise.resolve(topics.ensureForGroup(SystemTopic.TRANS_CHECK_MAX_TIME, 1)).catch(() => undefined)
        this.#endings.giveUp(half, checks)
      },
      onGone: offset => this.#endings.forget(offset),
    })
    this.#resumed = new ResumedHalves(store, states)
    counters.pending = () => states.undecidedCount(store.maxOffset(SystemTopic.TRANS_HALF, HALF_QUEUE))
  }

  start(): Behavior<TransactionsMessage> {
    this.#endings.mark()
    this.context.after(this.options.config.transactionCheckInterval, { kind: 'checks-due' })
    this.context.every(CHECKPOINT_INTERVAL_MS, { kind: 'checkpoint-due' })
    return receiveBatch(batch => {
      let failure: unknown
      for (const message of batch) {
        try {
          this.#take(message)
        } catch (error) {
          // The rest of the batch holds news of what is under way: without it those transactions would stay so.
          failure ??= error
        }
      }
      if (this.#cancelMark === undefined) this.#endings.mark()
      this.#stopWhenIdle()
      if (failure !== undefined) throw failure
    })
  }

  #take(message: TransactionsMessage): void {
    switch (message.kind) {
      case 'end':
        this.#end(message.request)
        break
      case 'resume':
        this.#resumed.resume(message.request)
        break
      case 'stored':
      case 'ops-stored':
        this.#endings.take(message)
        if (message.kind === 'ops-stored' && message.error !== undefined) this.#markLater()
        break
      case 'checks-due':
        this.#round.begin()
        this.#check()
        break
      case 'checks-go-on':
        this.#check()
        break
      case 'mark-again':
        this.#cancelMark = undefined
        break
      case 'checkpoint-due':
        this.#save()
        break
      case 'checkpoint-stored':
        this.#isSaving = false
        break
      case 'stop':
        this.#stopped = message.reply
        break
      default:
        assertNever(message)
    }
  }

  #end(request: RemotingRequest): void {
    const { store } = this.options
    try {
      const decision = decisionOf(request)
      if (decision === undefined) return
      const half = halfToEnd(store, this.context.clock.now(), request)
      this.#endings.end(half, decision, request)
    } catch (error) {
      request.peer.reply(request.command, failureReply(error))
    }
  }

  #check(): void {
    if (this.#stopped) return
    let isMore = false
    try {
      isMore = this.#round.goOn(this.context.clock.now())
    } finally {
      if (isMore) this.context.after(SLICE_PAUSE_MS, { kind: 'checks-go-on' })
      else this.context.after(this.options.config.transactionCheckInterval, { kind: 'checks-due' })
    }
  }

  #markLater(): void {
    this.#cancelMark ??= this.context.after(MARK_AGAIN_MS, { kind: 'mark-again' })
  }

  /** One write at a time. What fails is written with the next one: until then more of the log is read at a start. */
  #save(): void {
    const { states } = this.recovered
    const { progress } = this.#endings
    const isFar = progress.position - this.#savedPosition > UNSAVED_BYTES_MAX && this.options.counters.pending() > 0
    if (this.#isSaving || (!states.isDirty && !isFar)) return
    this.#isSaving = true
    this.#savedPosition = progress.position
    const saved = storeCheckpoint(this.options.table, states, progress)
    void saved.catch(() => undefined).then(() => this.context.self.tell({ kind: 'checkpoint-stored' }))
  }

  #stopWhenIdle(): void {
    const reply = this.#stopped
    const isDiskAway = this.#cancelMark !== undefined
    if (!reply || this.#isSaving || !(this.#endings.isIdle || isDiskAway)) return
    this.#stopped = undefined
    void storeCheckpoint(this.options.table, this.recovered.states, this.#endings.progress)
      .catch(() => undefined)
      .then(() => reply.tell())
    this.context.stop()
  }
}
