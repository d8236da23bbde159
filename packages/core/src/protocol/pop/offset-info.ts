/** One queue's entry in the header fields of a pop answer. `queue` is a queue id, or `qo<id>%<offset>` for one message. */
export interface OffsetInfo {
  readonly retryFlag: string
  readonly queue: string
  readonly offsets: readonly number[]
}

/** Text of `startOffsetInfo`, `msgOffsetInfo` and `orderCountInfo`: `flag queue offset,offset…;…`. behaviour.md §15 */
export function formatOffsetInfo(entries: readonly OffsetInfo[]): string {
  return entries.map(({ retryFlag, queue, offsets }) => `${retryFlag} ${queue} ${offsets.join(',')}`).join(';')
}

/** Undefined when the text is not of that form; no entries when it is empty. */
export function parseOffsetInfo(text: string): OffsetInfo[] | undefined {
  if (text === '') return []
  const entries: OffsetInfo[] = []
  for (const part of text.split(';')) {
    const match = /^(\S+) (\S+) (\d+(?:,\d+)*)$/.exec(part)
    if (match === null) return undefined
    entries.push({ retryFlag: match[1], queue: match[2], offsets: match[3].split(',').map(Number) })
  }
  return entries
}
