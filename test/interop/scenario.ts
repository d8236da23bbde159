import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, until } from './children.js'
import type { Client, ConsumeMode } from './clients.js'
import { compare, countLines, type MessageLine, readLines } from './messages.js'
import { ClientStartError } from './report.js'

let number = 0

export const workDir = () => mkdtempSync(join(tmpdir(), 'millrace-interop-'))

/** A name that no other case uses. */
export const fresh = (kind: string) => `${kind}-${process.pid}-${number++}`

export interface Consumed {
  readonly sent: readonly MessageLine[]
  readonly received: readonly (readonly MessageLine[])[]
}

interface RunOptions {
  readonly nameServer: string
  readonly dir: string
  readonly topic: string
  readonly group: string
  readonly count: number
  readonly instances: number
  readonly mode?: ConsumeMode
  readonly deadlineMs: number
}

/**
 * Starts the consumers, then a producer that probes until every consumer has got something (so each has its queues),
 * then lets it send `count` messages, and waits until all have arrived: once in all, or once at each when broadcasting.
 */
export async function sendAndConsume(producer: Client, consumer: Client, o: RunOptions): Promise<Consumed> {
  const name = fresh('run')
  const mode = o.mode ?? 'concurrent'
  const files = Array.from({ length: o.instances }, (_, i) => join(o.dir, `${name}-received-${i}.jsonl`))
  const consumers = files.map((out, i) => consumer.consume({ ...o, instance: `${name}-${i}`, tags: '*', mode, out }))
  await Promise.all(consumers.map(ready))
  const sentFile = join(o.dir, `${name}-sent.jsonl`)
  const sender = producer.send({ ...o, group: `${o.group}-producer`, out: sentFile })
  const counts = () => files.map(countLines)
  await until(
    () => counts().every(count => count > 0),
    90_000,
    () => `not every consumer got a probe: ${counts()}; ${sender.failure('is still probing').message}`,
  )
  sender.tell('go')
  await sender.line(line => line === 'sent', o.deadlineMs)
  await sender.end(30_000)
  const sent = readLines(sentFile)
  const enough = (count: number) => count >= sent.length
  const hasAll = () => {
    const isEnough =
      mode === 'broadcast' ? counts().every(enough) : enough(counts().reduce((sum, count) => sum + count, 0))
    if (!isEnough) return false
    // A message that came twice counts as two lines: only the comparison tells.
    const received = files.map(readLines)
    const sets = mode === 'broadcast' ? received : [received.flat()]
    return sets.every(lines => compare(sent, lines).missing === 0)
  }
  // What is missing is told by the comparison, which the caller makes in any case.
  await until(hasAll, o.deadlineMs, () => '').catch(() => {})
  await Promise.all(consumers.map(child => child.leave(30_000)))
  return { sent, received: files.map(readLines) }
}

async function ready(consumer: Child): Promise<void> {
  await consumer
    .line(line => line === 'ready', 60_000)
    .catch((error: Error) => Promise.reject(new ClientStartError(error.message)))
}

interface ReadOptions {
  readonly nameServer: string
  readonly dir: string
  readonly topic: string
  readonly group: string
  readonly tags?: string
  readonly mode?: ConsumeMode
  /** Waits until each of these has been delivered; more may come. */
  readonly wanted: readonly MessageLine[]
  /** How often each of them has to come, first delivery and retries. */
  readonly deliveries?: number
  readonly deadlineMs: number
}

/** One consumer on a topic that has its messages already; what it was given until it had all, or ran out of time. */
export async function consumeExisting(consumer: Client, o: ReadOptions): Promise<MessageLine[]> {
  const out = join(o.dir, `${fresh('read')}.jsonl`)
  const child = consumer.consume({ mode: 'concurrent', tags: '*', ...o, instance: 'reader', out })
  await ready(child)
  const count = o.wanted.length * (o.deliveries ?? 1)
  await until(
    // Other messages of the topic count as lines too, so enough lines do not mean that the wanted ones are there.
    () => countLines(out) >= count && (o.deliveries !== undefined || compare(o.wanted, readLines(out)).missing === 0),
    o.deadlineMs,
    () => '',
  ).catch(() => {})
  await child.leave(30_000)
  return readLines(out)
}

/** Sends without anybody consuming. */
export async function sendOnly(
  producer: Client,
  o: { nameServer: string; dir: string; topic: string; count: number },
): Promise<MessageLine[]> {
  const out = join(o.dir, `${fresh('sent')}.jsonl`)
  const sender = producer.send({ ...o, group: fresh('producer'), out })
  await until(
    () => countLines(out) > 0,
    60_000,
    () => sender.failure('sent nothing').message,
  )
  sender.tell('go')
  await sender.end(120_000)
  return readLines(out)
}
