import type { ReplyTo } from '@millrace/core'
import type { MessageToAppend } from '@millrace/storage'
import type { DueTimer } from './timer-due.js'

/** How a recall ended. */
export type RecallOutcome = 'taken' | 'too late'

/** A message that takes back another, and what it names. */
export interface Recall {
  readonly due: number
  readonly topic: string
  readonly uniqueKey: string
  /** For the timer topic. */
  readonly marker: MessageToAppend
}

/** What the timer actor takes. */
export type TimerMessage =
  /** Messages for the timer topic are on their way to the log. */
  | { readonly kind: 'hint'; readonly isSoon: boolean }
  | { readonly kind: 'look' }
  | { readonly kind: 'wake' }
  | { readonly kind: 'sweep' }
  /** The first `count` copies of the batch are stored. */
  | { readonly kind: 'copied'; readonly count: number }
  | { readonly kind: 'copies-refused' }
  | { readonly kind: 'committed' }
  | { readonly kind: 'commit-refused'; readonly leaving: readonly DueTimer[]; readonly nextOffset: number }
  | { readonly kind: 'retry' }
  | { readonly kind: 'recall'; readonly recall: Recall; readonly reply: ReplyTo<RecallOutcome> }
  /** The marker is in the log, at this offset of the timer queue. */
  | { readonly kind: 'recall-stored'; readonly held: string; readonly queueOffset: number }
  | { readonly kind: 'recall-refused'; readonly held: string }
  /** Ends the deliveries; the reply comes when what is under way is noted. */
  | { readonly kind: 'stop'; readonly reply: ReplyTo<void> }
