/** What a verifying client saw, in order. A key names one message; its body is fixed by the key. */
export type Event =
  /** One attempt to send. `session` is one connection; `sequence` counts its sends to that queue. */
  | {
      readonly kind: 'sent'
      readonly key: string
      readonly queueId: number
      readonly sum: string
      readonly session: number
      readonly sequence: number
    }
  | {
      readonly kind: 'acked'
      readonly key: string
      readonly queueId: number
      readonly offset: number
      readonly session: number
      readonly sequence: number
    }
  /** A whole read of a queue's stored range [min, max), which the events `read` of the same scan fill. */
  | {
      readonly kind: 'scanned'
      readonly scan: number
      readonly queueId: number
      readonly min: number
      readonly max: number
    }
  | {
      readonly kind: 'read'
      readonly scan: number
      readonly queueId: number
      readonly offset: number
      readonly key: string
      readonly sum: string
    }

/** Sentences about what is wrong; none when all is well. */
export type Checker = (history: readonly Event[]) => string[]

type Kind<K extends Event['kind']> = Extract<Event, { kind: K }>

function eventsOf<K extends Event['kind']>(history: readonly Event[], kind: K): Kind<K>[] {
  return history.filter((event): event is Kind<K> => event.kind === kind)
}

function grouped<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = nameOf(item)
    const group = groups.get(name)
    if (group) group.push(item)
    else groups.set(name, [item])
  }
  return groups
}

function place(queueId: number, offset: number): string {
  return `queue ${queueId} offset ${offset}`
}

/** Reads of the last scan of each queue: what is there in the end. */
function finalReads(history: readonly Event[]): Kind<'read'>[] {
  const last = new Map<number, number>()
  for (const scanned of eventsOf(history, 'scanned')) last.set(scanned.queueId, scanned.scan)
  return eventsOf(history, 'read').filter(read => last.get(read.queueId) === read.scan)
}

/** Every acknowledged message is readable in the end, at the place that was acknowledged. */
export const noLostAck: Checker = history => {
  const found = new Map(finalReads(history).map(read => [place(read.queueId, read.offset), read.key]))
  return eventsOf(history, 'acked').flatMap(({ key, queueId, offset }) => {
    const there = found.get(place(queueId, offset))
    return there === key
      ? []
      : [`"${key}" was acknowledged at ${place(queueId, offset)}, where ${there ?? 'nothing'} is`]
  })
}

/** Nothing is read that was not sent, to that queue and with that body. */
export const noGhost: Checker = history => {
  const sent = new Map(eventsOf(history, 'sent').map(each => [each.key, each]))
  return eventsOf(history, 'read').flatMap(({ key, queueId, offset, sum }) => {
    const origin = sent.get(key)
    if (origin === undefined) return [`"${key}" at ${place(queueId, offset)} was never sent`]
    if (origin.queueId !== queueId) return [`"${key}" was sent to queue ${origin.queueId} and read in queue ${queueId}`]
    return origin.sum === sum ? [] : [`"${key}" at ${place(queueId, offset)} has another body than was sent`]
  })
}

/** A scan of [min, max) gives each offset once, in order. */
export const denseOffsets: Checker = history => {
  const reads = grouped(eventsOf(history, 'read'), read => `${read.scan}/${read.queueId}`)
  return eventsOf(history, 'scanned').flatMap(({ scan, queueId, min, max }) => {
    const offsets = (reads.get(`${scan}/${queueId}`) ?? []).map(read => read.offset)
    const wrong = offsets.findIndex((offset, i) => offset !== min + i)
    if (wrong >= 0) return [`scan ${scan} of queue ${queueId} gave offset ${offsets[wrong]} instead of ${min + wrong}`]
    return offsets.length === max - min
      ? []
      : [`scan ${scan} of queue ${queueId} gave ${offsets.length} messages of [${min}, ${max})`]
  })
}

/** A message is stored at most as often as it was sent. */
export const noDuplicates: Checker = history => {
  const attempts = new Map<string, number>()
  for (const { key } of eventsOf(history, 'sent')) attempts.set(key, (attempts.get(key) ?? 0) + 1)
  const stored = grouped(finalReads(history), read => read.key)
  return [...stored].flatMap(([key, reads]) =>
    reads.length <= (attempts.get(key) ?? 0)
      ? []
      : [`"${key}" was sent ${attempts.get(key) ?? 0} times and is stored ${reads.length} times`],
  )
}

/** What was read at an offset stays there, for every reader. */
export const stableOffsets: Checker = history => {
  const first = new Map<string, string>()
  return eventsOf(history, 'read').flatMap(({ queueId, offset, key }) => {
    const at = place(queueId, offset)
    const before = first.get(at)
    if (before === undefined) first.set(at, key)
    return before === undefined || before === key ? [] : [`${at} had "${before}" and later "${key}"`]
  })
}

/** Messages sent one after the other on a connection lie in that order in their queue. */
export const keptOrder: Checker = history => {
  const sessions = grouped(eventsOf(history, 'acked'), acked => `session ${acked.session} queue ${acked.queueId}`)
  return [...sessions].flatMap(([session, acks]) => {
    const inOrder = acks.toSorted((a, b) => a.sequence - b.sequence)
    const wrong = inOrder.findIndex((ack, i) => i > 0 && ack.offset <= (inOrder[i - 1]?.offset ?? -1))
    return wrong < 0 ? [] : [`${session}: "${inOrder[wrong]?.key}" overtook the message sent before it`]
  })
}

export const CHECKERS: Readonly<Record<string, Checker>> = {
  noLostAck,
  noGhost,
  denseOffsets,
  noDuplicates,
  stableOffsets,
  keptOrder,
}

const VIOLATIONS_TOLD_MAX = 20

/** All checkers; each violation is named by its checker. */
export function checkHistory(history: readonly Event[]): string[] {
  return Object.entries(CHECKERS).flatMap(([name, check]) => {
    const violations = check(history)
    const more = violations.length - VIOLATIONS_TOLD_MAX
    return [...violations.slice(0, VIOLATIONS_TOLD_MAX), ...(more > 0 ? [`and ${more} more`] : [])].map(
      violation => `${name}: ${violation}`,
    )
  })
}
