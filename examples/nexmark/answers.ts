import { readFileSync } from 'node:fs'
import { Digest, rowOf } from './digest.js'
import type { Row, Standing } from './topics.js'

export interface Answer {
  readonly count: number
  readonly digest: string
}

export interface Answers {
  readonly orderHash: string
  readonly [query: string]: unknown
  readonly late: {
    readonly orderHash: string
    readonly lateness0: { readonly main: Answer; readonly side: Answer }
    readonly lateness5s: { readonly main: Answer; readonly side: Answer }
  }
}

/** The right answers for a number of events: 10,000, 100,000 or 1,000,000. */
export function expectedAnswers(events: number): Answers {
  // Built into dist, but the file stays where it is.
  const here = import.meta.url.replace('/examples/dist/', '/examples/')
  const { sizes } = JSON.parse(readFileSync(new URL('expected.json', here), 'utf8')) as {
    readonly sizes: Readonly<Record<string, Answers>>
  }
  return sizes[events]!
}

/** The answer that rows are. */
export function answerOf(rows: Iterable<Row>): Answer {
  const digest = new Digest()
  for (const row of rows) digest.add(rowOf(row))
  return { count: digest.count, digest: String(digest) }
}

/** The rows that stand in the end. */
export function standingRows(refinements: Iterable<Standing>): Row[] {
  const rows = new Map<unknown, readonly Row[]>()
  for (const { key, rows: of } of refinements) rows.set(key, of)
  return [...rows.values()].flat()
}
