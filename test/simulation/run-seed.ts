import { checkHistory } from '../faults/checkers.js'
import { Cluster } from './cluster.js'
import { Faults } from './faults.js'
import { type Found, pause, type Sent, TOPIC, Workload } from './workload.js'

const FAULTY_MS = 15_000
/** Longest time from the last fault until everything has arrived. */
const QUIET_MS = 180_000
const LIMIT_MS = 900_000

export interface SeedResult {
  readonly seed: number
  /** Sentences about what is wrong; none when all is well. */
  readonly violations: readonly string[]
  readonly timeline: readonly string[]
  readonly eventCount: number
  readonly traceHash: string
  readonly sentCount: number
  readonly ackedCount: number
}

export interface SeedOptions {
  /** Breaks the cluster in a way that must be found. */
  readonly sabotage?: (cluster: Cluster) => void
}

/** Runs a cluster with clients and faults, all decided by the seed, and checks what they saw. Never rejects. */
export async function runSeed(seed: number, { sabotage }: SeedOptions = {}): Promise<SeedResult> {
  const flush = seed % 2 === 0 ? 'sync' : 'async'
  const cluster = new Cluster({ seed, brokers: 1 + (seed % 3 === 0 ? 1 : 0), flush })
  sabotage?.(cluster)
  const { clock } = cluster.simulation
  const startMs = clock.now()
  const timeline: string[] = []
  const note = (what: string): void => {
    timeline.push(`${((clock.now() - startMs) / 1_000).toFixed(3)} s  ${what}`)
    cluster.simulation.note(what)
  }
  const workload = new Workload(cluster.clients.boot(), cluster.nameserverAddress)
  const scenario = async (): Promise<string[]> => {
    await cluster.start()
    await workload.open()
    note(`cluster of ${cluster.brokers.length} is up, flush ${flush}`)
    const work = workload.run()
    const faults = new Faults(cluster, flush, note)
    const breaking = faults.run()
    await pause(cluster.simulation, FAULTY_MS)
    await faults.stop()
    await breaking
    note('faults are over')
    workload.finish()
    await work
    return converge(cluster, workload)
  }
  const violations = await cluster.simulation
    .runUntilSettled(scenario(), LIMIT_MS)
    .catch(error => [`the run itself failed: ${(error as Error).stack ?? error}`])
  const { eventCount, traceHash } = cluster.simulation
  const ackedCount = workload.sent.filter(sent => sent.isAcked).length
  return { seed, violations, timeline, eventCount, traceHash, sentCount: workload.sent.length, ackedCount }
}

/** Waits until everything has arrived, or will not; then checks what is there. */
async function converge(cluster: Cluster, workload: Workload): Promise<string[]> {
  const { clock } = cluster.simulation
  const untilMs = clock.monotonic() + QUIET_MS
  for (;;) {
    await pause(cluster.simulation, 1_000)
    const content = await contents(workload)
    const missing = content && [...missingOf(workload, content), ...unhandled(workload)]
    if (content === undefined || (missing!.length > 0 && clock.monotonic() < untilMs)) {
      if (content === undefined && clock.monotonic() > untilMs)
        return ['topics cannot be read although faults are over']
      continue
    }
    await workload.scan()
    return [...checkHistory(workload.history), ...missing!, ...wrongOf(workload, content)]
  }
}

type Contents = Readonly<Record<string, readonly Found[]>>

async function contents(workload: Workload): Promise<Contents | undefined> {
  try {
    return {
      [TOPIC.transactions]: await workload.content(TOPIC.transactions),
      [TOPIC.delayed]: await workload.content(TOPIC.delayed),
    }
  } catch {
    // Routes and connections come back in their own time.
    return undefined
  }
}

/** Acknowledged messages that must be visible in the end and are not. */
function missingOf({ sent }: Workload, content: Contents): string[] {
  return sent
    .filter(({ decision, isAcked, topic }) => isAcked && topic !== TOPIC.plain && decision !== 'rollback')
    .filter(({ key, topic }) => !content[topic]!.some(found => found.key === key))
    .map(({ key, topic }) => `${topic}: "${key}" was accepted and never came`)
}

function unhandled({ handled, sent }: Workload): string[] {
  return sent
    .filter(({ isAcked, key, topic }) => isAcked && topic === TOPIC.plain && !handled.has(key))
    .map(({ key }) => `the group never got "${key}"`)
}

/** Messages that must not be there, or not then, or not twice. */
function wrongOf({ sent }: Workload, content: Contents): string[] {
  const byKey = new Map<string, Sent>(sent.map(each => [each.key, each]))
  const wrong: string[] = []
  const seen = new Set<string>()
  for (const { key, storedMs } of content[TOPIC.transactions]!) {
    if (byKey.get(key)?.decision === 'rollback') wrong.push(`transaction "${key}" was rolled back and is visible`)
    if (seen.has(key)) wrong.push(`transaction "${key}" is visible twice`)
    seen.add(key)
    if (storedMs < 0) wrong.push(`"${key}" has no store time`)
  }
  for (const { key, storedMs } of content[TOPIC.delayed]!) {
    const dueMs = byKey.get(key)?.dueMs ?? 0
    if (storedMs < dueMs) wrong.push(`delayed "${key}" came ${dueMs - storedMs} ms early`)
  }
  return wrong
}
