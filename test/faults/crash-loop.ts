import type { Event } from './checkers.js'
import type { SeededRandom } from './random.js'
import { bodyOf, keyOf, Refused, type StartTarget, sumOf, type Target } from './target.js'

export interface CrashLoopOptions {
  readonly random: SeededRandom
  readonly rounds: number
  readonly start: StartTarget
  /** Sends under way per queue. */
  readonly window?: number
}

export interface CrashLoopResult {
  readonly history: readonly Event[]
  /** From the start of the process to its first acknowledgement, less the reading in between, milliseconds, per round. */
  readonly firstAckMs: readonly number[]
  readonly ackedCount: number
}

export const QUEUES = 4
const BODY_BYTES_MAX = 2_000
/** Offsets read again at each restart, before what is new. */
const OVERLAP = 200

interface Unanswered {
  readonly key: string
  readonly queueId: number
  readonly body: string
}

/**
 * Starts the target, loads it with sends, kills it with SIGKILL 0.2 to 2 s after its first acknowledgement, starts it
 * again, reads what is there, and so on; half of what was not answered is sent again. Ends with a whole read.
 */
export async function runCrashLoop({ random, rounds, start, window = 16 }: CrashLoopOptions): Promise<CrashLoopResult> {
  const history: Event[] = []
  const firstAckMs: number[] = []
  const read = new Array<number>(QUEUES).fill(0)
  let unanswered: Unanswered[] = []
  let keys = 0
  let scans = 0

  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now()
    const target = await start()
    const startMs = performance.now() - startedAt
    try {
      if (round > 0) await scanNew(target)
      const load = startLoad(target, round, startMs)
      firstAckMs.push(await load.firstAckMs)
      await new Promise(resolve => setTimeout(resolve, random.between(200, 2_000)))
      await target.kill()
      unanswered = await load.ended()
    } finally {
      await target.kill()
    }
  }
  const target = await start()
  try {
    await scanFrom(target, new Array<number>(QUEUES).fill(0))
    await target.stop()
  } finally {
    await target.kill()
  }
  return { history, firstAckMs, ackedCount: history.filter(event => event.kind === 'acked').length }

  async function scanNew(target: Target): Promise<void> {
    await scanFrom(
      target,
      read.map(offset => Math.max(0, offset - OVERLAP)),
    )
  }

  async function scanFrom(target: Target, from: readonly number[]): Promise<void> {
    const scan = ++scans
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      const { min, max, messages } = await target.scan(queueId, from[queueId] ?? 0)
      history.push({ kind: 'scanned', scan, queueId, min: Math.max(min, from[queueId] ?? 0), max })
      for (const { offset, body } of messages)
        history.push({ kind: 'read', scan, queueId, offset, key: keyOf(body), sum: sumOf(body) })
      read[queueId] = max
    }
  }

  function startLoad(target: Target, session: number, startMs: number) {
    const loadedAt = performance.now()
    const left: Unanswered[] = []
    let isOver = false
    let noteAck: () => void = () => undefined
    const firstAckMs = new Promise<number>(resolve => {
      noteAck = () => resolve(startMs + performance.now() - loadedAt)
    })
    const again = unanswered.filter(() => random.next() < 0.5)
    const pump = async (queueId: number): Promise<void> => {
      const retries = again.filter(each => each.queueId === queueId)
      const under = new Set<Promise<void>>()
      for (let sequence = 0; !isOver; sequence++) {
        const message = retries.shift() ?? newMessage(queueId)
        const { key } = message
        history.push({ kind: 'sent', key, queueId, sum: sumOf(message.body), session, sequence })
        const sending = target.append(queueId, message.body).then(
          offset => {
            noteAck()
            history.push({ kind: 'acked', key, queueId, offset, session, sequence })
          },
          error => {
            isOver = true
            left.push(message)
            if (error instanceof Refused) throw error
          },
        )
        under.add(sending)
        sending.then(
          () => under.delete(sending),
          () => undefined,
        )
        if (under.size >= window) await Promise.race(under)
      }
      await Promise.all(under)
    }
    const pumps = Promise.all(Array.from({ length: QUEUES }, (_, queueId) => pump(queueId)))
    pumps.catch(() => undefined)
    return {
      async ended(): Promise<Unanswered[]> {
        isOver = true
        await pumps
        return left
      },
      firstAckMs: Promise.race([firstAckMs, pumps.then(() => Number.NaN)]),
    }
  }

  function newMessage(queueId: number): Unanswered {
    const key = `m${keys++}`
    return { key, queueId, body: bodyOf(key, random.between(20, BODY_BYTES_MAX)) }
  }
}
