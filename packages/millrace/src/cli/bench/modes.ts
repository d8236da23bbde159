import type { Client } from '@millrace/client'
import { MillraceError } from '@millrace/core'
import { connect } from '../connect.js'
import { UsageError } from '../failure.js'
import { QueueReaders } from '../queue-readers.js'
import { type BenchResult, Measurement } from './measure.js'
import { sendLoad } from './sending.js'

export type BenchMode = 'send' | 'pull' | 'e2e'

export interface BenchSettings {
  readonly mode: BenchMode
  readonly nameserver: string
  readonly timeout: number
  readonly timeoutMs: number
  readonly topic: string
  readonly queues: number
  /** Bytes of a body. */
  readonly size: number
  readonly connections: number
  readonly inFlight: number
  /** Messages per second in all; undefined: as fast as answers come. */
  readonly rate?: number
  /** Seconds. */
  readonly duration: number
  readonly warmup: number
}

type Report = (phase: string, messages: number) => void

/** @throws UsageError */
export function modeOf(text: string | undefined): BenchMode {
  if (text === 'send' || text === 'pull' || text === 'e2e') return text
  throw new UsageError(`"${text ?? ''}" is not a benchmark; choose send, pull or e2e`)
}

export function describeSettings(settings: BenchSettings): string {
  const { mode, nameserver, topic, size, connections, inFlight, duration, warmup } = settings
  const rate = rateOf(settings)
  const pace =
    mode === 'pull' ? 'as fast as possible' : rate ? `${rate} msgs/s` : `${connections} × ${inFlight} in flight`
  return `bench ${mode} against ${nameserver}: topic ${topic}, ${size} byte bodies, ${pace}, ${duration} s after ${warmup} s warm-up`
}

const E2E_RATE = 1000
const rateOf = ({ mode, rate }: BenchSettings): number | undefined => rate ?? (mode === 'e2e' ? E2E_RATE : undefined)

/**
 * Runs one benchmark until its time is over, a pull has read everything, or the signal is aborted.
 * @throws MillraceError when no service answers, or when no operation succeeded
 */
export async function runBench(settings: BenchSettings, signal: AbortSignal, report: Report): Promise<BenchResult> {
  const clientCount = settings.mode === 'e2e' ? 2 : settings.mode === 'pull' ? 1 : settings.connections
  const clients: Client[] = []
  try {
    for (let index = 0; index < clientCount; index++) clients.push(await connect(settings))
    if (settings.mode === 'pull') return await runPull(settings, clients[0], signal, report)
    await ensureTopic(clients[0], settings)
    return await (settings.mode === 'send' ? runSend : runEndToEnd)(settings, clients, signal, report)
  } finally {
    await Promise.all(clients.map(client => client.close()))
  }
}

async function ensureTopic(client: Client, { topic, queues }: BenchSettings): Promise<void> {
  const topics = await client.admin.topicList()
  if (!topics.includes(topic)) await client.admin.createTopic(topic, { queues })
}

/** Warm-up, then measuring: aborts `ended` when the time is over. */
class Phases {
  measurement: Measurement | undefined
  firstError: unknown
  readonly #ended = new AbortController()
  readonly #timers: NodeJS.Timeout[]

  constructor(settings: BenchSettings, stop: AbortSignal, report: Report) {
    const end = (): void => {
      this.measurement?.end()
      this.#ended.abort()
    }
    if (stop.aborted) end()
    stop.addEventListener('abort', end, { once: true })
    this.#timers = [
      setTimeout(() => {
        this.measurement ??= new Measurement()
      }, settings.warmup * 1000),
      setTimeout(end, (settings.warmup + settings.duration) * 1000),
      setInterval(() => report(this.measurement ? settings.mode : 'warm-up', this.measurement?.messageCount ?? 0), 250),
    ]
  }

  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /** @throws what the first operation failed with, when none succeeded */
  result(): BenchResult {
    if (this.measurement?.messageCount) return this.measurement.result()
    if (this.firstError) throw this.firstError
    throw new MillraceError('TIMEOUT', 'nothing was measured in time; give it a longer --duration')
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer)
  }
}

async function runSend(
  settings: BenchSettings,
  clients: readonly Client[],
  stop: AbortSignal,
  report: Report,
): Promise<BenchResult> {
  using phases = new Phases(settings, stop, report)
  const body = Buffer.alloc(settings.size, 'x')
  await sendLoad({ ...loadOf(settings, phases), producers: clients.map(client => client.producer()), body: () => body })
  return phases.result()
}

function loadOf(settings: BenchSettings, phases: Phases) {
  return {
    topic: settings.topic,
    inFlight: settings.inFlight,
    rate: rateOf(settings),
    timeoutMs: settings.timeoutMs,
    signal: phases.ended,
    measurement: () => phases.measurement,
    onError: (error: unknown) => {
      phases.firstError ??= error
    },
  }
}

/** Reads from the first message to what is the end now; without a warm-up, as there may be little to read. */
async function runPull(
  settings: BenchSettings,
  client: Client,
  stop: AbortSignal,
  report: Report,
): Promise<BenchResult> {
  using phases = new Phases({ ...settings, warmup: 0 }, stop, report)
  const measurement = new Measurement()
  phases.measurement = measurement
  const readers = new QueueReaders({
    isFollowing: false,
    signal: phases.ended,
    start: (assignments, queue) => assignments.offsets.min(queue),
    onMessages: messages => {
      measurement.count(
        messages.length,
        messages.reduce((sum, message) => sum + message.body.length, 0),
      )
      return messages.length
    },
    onPulled: latencyMs => measurement.time(latencyMs),
    isCommitting: false,
  })
  await readers.run(
    await client.assignments({ group: 'TOOLS_CONSUMER', topics: [settings.topic], model: 'broadcasting' }, readers),
  )
  measurement.end()
  return phases.result()
}

/** Time stamp in front of a body: milliseconds since the epoch with fractions, as a double. */
const STAMP_BYTES = 8

async function runEndToEnd(
  settings: BenchSettings,
  clients: readonly Client[],
  stop: AbortSignal,
  report: Report,
): Promise<BenchResult> {
  const [sender, receiver] = clients
  using phases = new Phases(settings, stop, report)
  const startedAt = performance.timeOrigin + performance.now()
  const readers = new QueueReaders({
    isFollowing: true,
    signal: phases.ended,
    start: (assignments, queue) => assignments.offsets.max(queue),
    onMessages: messages => {
      const now = performance.timeOrigin + performance.now()
      for (const { body } of messages) {
        const sentAt = body.readDoubleBE(0)
        // Something else may write to the topic.
        if (sentAt < startedAt || sentAt > now) continue
        phases.measurement?.count(1, body.length)
        phases.measurement?.time(now - sentAt)
      }
      return messages.length
    },
    isCommitting: false,
  })
  const assignments = await receiver.assignments(
    { group: 'TOOLS_CONSUMER', topics: [settings.topic], model: 'broadcasting' },
    readers,
  )
  const reading = readers.run(assignments)
  const body = (sentAt: number): Buffer => {
    const bytes = Buffer.alloc(Math.max(STAMP_BYTES, settings.size), 'x')
    bytes.writeDoubleBE(performance.timeOrigin + sentAt, 0)
    return bytes
  }
  const load = loadOf(settings, phases)
  // Only what was received counts here.
  await sendLoad({ ...load, measurement: () => undefined, producers: [sender.producer()], body })
  await reading
  return phases.result()
}
