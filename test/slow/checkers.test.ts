import { describe, expect, it } from 'vitest'
import { CHECKERS, checkHistory, type Event } from '../faults/checkers.js'

/** Two sessions, three messages, the second one sent twice; a crash between the scans. */
const GOOD: readonly Event[] = [
  { kind: 'sent', key: 'a', queueId: 0, sum: 'A', session: 1, sequence: 0 },
  { kind: 'sent', key: 'b', queueId: 0, sum: 'B', session: 1, sequence: 1 },
  { kind: 'acked', key: 'a', queueId: 0, offset: 0, session: 1, sequence: 0 },
  { kind: 'scanned', scan: 1, queueId: 0, min: 0, max: 2 },
  { kind: 'read', scan: 1, queueId: 0, offset: 0, key: 'a', sum: 'A' },
  { kind: 'read', scan: 1, queueId: 0, offset: 1, key: 'b', sum: 'B' },
  { kind: 'sent', key: 'b', queueId: 0, sum: 'B', session: 2, sequence: 0 },
  { kind: 'sent', key: 'c', queueId: 0, sum: 'C', session: 2, sequence: 1 },
  { kind: 'acked', key: 'b', queueId: 0, offset: 2, session: 2, sequence: 0 },
  { kind: 'acked', key: 'c', queueId: 0, offset: 3, session: 2, sequence: 1 },
  { kind: 'scanned', scan: 2, queueId: 0, min: 0, max: 4 },
  { kind: 'read', scan: 2, queueId: 0, offset: 0, key: 'a', sum: 'A' },
  { kind: 'read', scan: 2, queueId: 0, offset: 1, key: 'b', sum: 'B' },
  { kind: 'read', scan: 2, queueId: 0, offset: 2, key: 'b', sum: 'B' },
  { kind: 'read', scan: 2, queueId: 0, offset: 3, key: 'c', sum: 'C' },
]

/** Each plants one fault: the index of the event to change, and what it becomes (nothing: it is left out). */
const FAULTS: readonly [checker: string, fault: string, at: number, change: Partial<Event> | undefined][] = [
  ['noLostAck', 'an acknowledged message is gone', 14, undefined],
  ['noLostAck', 'an acknowledged message is at another offset', 9, { offset: 2 }],
  ['noGhost', 'a message nobody sent is read', 14, { key: 'x' }],
  ['noGhost', 'a body has changed', 11, { sum: 'Z' }],
  ['noGhost', 'a message is in another queue', 7, { queueId: 1 }],
  ['denseOffsets', 'an offset is missing', 12, undefined],
  ['denseOffsets', 'an offset is given twice', 13, { offset: 1 }],
  ['denseOffsets', 'the end of a queue cannot be read', 10, { max: 5 }],
  ['noDuplicates', 'a message sent once is stored twice', 6, undefined],
  ['stableOffsets', 'another message is at an offset after the crash', 12, { key: 'c' }],
  ['keptOrder', 'a message overtook another', 9, { offset: 2 }],
]

describe('checkers', () => {
  it('find nothing wrong with a good history', () => {
    expect(checkHistory(GOOD)).toEqual([])
    expect(checkHistory([])).toEqual([])
  })

  it.each(FAULTS)('%s tells that %s', (checker, _fault, at, change) => {
    const history = GOOD.flatMap((event, i) => (i !== at ? [event] : change ? [{ ...event, ...change } as Event] : []))
    expect(CHECKERS[checker]?.(history)).not.toEqual([])
  })

  it('are each shown at least one fault', () => {
    expect(new Set(FAULTS.map(([checker]) => checker))).toEqual(new Set(Object.keys(CHECKERS)))
  })
})
