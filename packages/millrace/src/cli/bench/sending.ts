import type { Producer } from '@millrace/client'
import type { Measurement } from './measure.js'

export interface SendLoad {
  readonly producers: readonly Producer[]
  readonly topic: string
  /** Called for each send: e2e writes the time into it. */
  readonly body: (sentAt: number) => Uint8Array
  readonly inFlight: number
  /** Messages per second in all; undefined: each slot sends again as soon as its answer is there. */
  readonly rate: number | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Where results go now; undefined during the warm-up. */
  readonly measurement: () => Measurement | undefined
  readonly onError: (error: unknown) => void
}

/** Sends until the signal is aborted and every answer is there. */
export async function sendLoad(load: SendLoad): Promise<void> {
  if (load.rate !== undefined) return sendAtRate(load, load.rate)
  const slots = load.producers.flatMap(producer => Array.from({ length: load.inFlight }, () => producer))
  await Promise.all(
    slots.map(async producer => {
      while (!load.signal.aborted) await sendOne(load, producer, performance.now())
    }),
  )
}

/** Open loop: a send is timed from the moment it was due, also when the ones before it were late. */
async function sendAtRate(load: SendLoad, rate: number): Promise<void> {
  const startedAt = performance.now()
  const waiting = new Set<Promise<void>>()
  const waitingMax = load.inFlight * load.producers.length
  for (let sent = 0; !load.signal.aborted; ) {
    const due = ((performance.now() - startedAt) / 1000) * rate
    while (sent < due && waiting.size < waitingMax) {
      const dueAt = startedAt + (sent / rate) * 1000
      const sending = sendOne(load, load.producers[sent % load.producers.length], dueAt).finally(() =>
        waiting.delete(sending),
      )
      waiting.add(sending)
      sent++
    }
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  await Promise.all(waiting)
}

async function sendOne(load: SendLoad, producer: Producer, dueAt: number): Promise<void> {
  const body = load.body(dueAt)
  try {
    await producer.send({ topic: load.topic, body }, { timeoutMs: load.timeoutMs })
    const measurement = load.measurement()
    measurement?.count(1, body.length)
    measurement?.time(performance.now() - dueAt)
  } catch (error) {
    load.measurement()?.fail()
    load.onError(error)
    // A broker that refuses at once must not make this a busy loop.
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
