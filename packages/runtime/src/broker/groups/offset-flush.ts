import { type Behavior, receive, setup } from '@millrace/core'
import type { ConsumerOffsets } from '@millrace/storage'

/** Stores the offsets that were committed one-way since the last time. behaviour.md §8 */
export function offsetFlush(offsets: ConsumerOffsets, intervalMs: number): Behavior<'flush-due'> {
  return setup(context => {
    context.every(intervalMs, 'flush-due')
    return receive(() => {
      // A failure makes the metadata store report it; what was not stored stays due.
      offsets.flush().catch(() => undefined)
    })
  })
}
