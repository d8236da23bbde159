import { type ActorSystem, RequestCode } from '@millrace/core'
import type { MetadataStore } from '@millrace/storage'
import type { Handler } from '../../requests/answer.js'
import { recoverHalves, type TransactionRecord } from './half-recovery.js'
import { TransactionCounters } from './transaction-counters.js'
import { type TransactionsOptions, transactions } from './transactions.js'

/** The transactions of a broker, as the rest of it sees them. */
export interface BrokerTransactions {
  readonly handlers: readonly (readonly [number, Handler])[]
  readonly counters: TransactionCounters
  /** Resolves when everything that was begun is in the log. @throws MillraceError TIMEOUT */
  stop(deadlineMs: number): Promise<void>
}

/** Finds out what became of every half message, and goes to work. */
export function createTransactions(
  options: Omit<TransactionsOptions, 'table' | 'counters'> & {
    readonly system: ActorSystem
    readonly metadata: MetadataStore
  },
): BrokerTransactions {
  const { config, metadata, producers, placed, store, system, topics } = options
  const table = metadata.table<TransactionRecord>('transactions')
  const counters = new TransactionCounters()
  const recovered = recoverHalves(store, table, config.mapedFileSizeCommitLog)
  const behavior = transactions({ config, store, table, producers, topics, counters, placed }, recovered)
  const actor = system.spawn('transactions', behavior, { supervision: { kind: 'resume' } })
  return {
    handlers: [
      [RequestCode.END_TRANSACTION, request => actor.tell({ kind: 'end', request })],
      [RequestCode.RESUME_CHECK_HALF_MESSAGE, request => actor.tell({ kind: 'resume', request })],
    ],
    counters,
    stop: deadlineMs => actor.ask<void>(reply => ({ kind: 'stop', reply }), deadlineMs),
  }
}
