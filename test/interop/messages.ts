import { existsSync, readFileSync } from 'node:fs'

/** One message as a client's program wrote it down, when it was acknowledged or when it was delivered. */
export interface MessageLine {
  readonly hash: string
  readonly tags: string
  readonly keys: string
  readonly shade: string
  /** Unique id given by the client; for ali-ons the broker's. */
  readonly id?: string
  /** The broker's id: address and commit-log position. */
  readonly offsetId?: string
  readonly queue: number
  readonly offset: number
  readonly storedAt?: number
  readonly attempt?: number
}

/** The complete lines of a file that is still being written. */
export function readLines(file: string): MessageLine[] {
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as MessageLine)
}

/** How many complete lines the file has: cheaper than reading them, for waiting. */
export function countLines(file: string): number {
  if (!existsSync(file)) return 0
  let count = 0
  for (const byte of readFileSync(file)) if (byte === 10) count++
  return count
}

const place = (line: MessageLine) => `${line.queue}:${line.offset}`

/** What a message is, wherever it is read. */
const content = ({ hash, tags, keys, shade }: MessageLine) => `${hash} ${tags} ${keys} ${shade}`

export interface Comparison {
  /** Acknowledged, but not delivered where it was acknowledged. */
  readonly missing: number
  /** Delivered with another body, tag, key or property than was sent. */
  readonly changed: number
  /** Delivered, but never acknowledged. */
  readonly unknown: number
  readonly duplicates: number
}

export const identical: Comparison = { missing: 0, changed: 0, unknown: 0, duplicates: 0 }

/** Compares by queue and offset: those that the producer was told and those that the consumer saw must be the same. */
export function compare(sent: readonly MessageLine[], received: readonly MessageLine[]): Comparison {
  const expected = new Map(sent.map(line => [place(line), content(line)]))
  const seen = new Set<string>()
  let changed = sent.length - expected.size // two acknowledged at one place
  let unknown = 0
  for (const line of received) {
    const wanted = expected.get(place(line))
    if (wanted === undefined) unknown++
    else if (wanted !== content(line)) changed++
    seen.add(place(line))
  }
  const missing = [...expected.keys()].filter(key => !seen.has(key)).length
  return { missing, changed, unknown, duplicates: received.length - seen.size }
}
