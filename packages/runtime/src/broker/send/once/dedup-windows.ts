import { type Clock, RecordProperties, type Scheduler } from '@millrace/core'
import { type Appended, ENTRY_NUMBERS, type LogStore, type MessageToAppend } from '@millrace/storage'
import type { Topic } from '../../topics/topic.js'
import { type DedupRule, dedupRuleOf } from './dedup-rule.js'

/** Keys of one topic that are kept at most, whatever its window. */
const KEYS_MAX = 1_000_000
const ENTRIES_PER_TURN = 1_000

interface Known {
  readonly stored: Promise<Appended>
  /** Broker clock, ms, of when it was stored. */
  readonly at: number
}

/**
 * Messages of one topic that were stored lately, by a key of theirs. Rebuilt from the topic's queues when first asked
 * for, so that a crash forgets nothing of the window. The oldest are forgotten first.
 */
export class DedupWindow {
  readonly property: string
  private known = new Map<string, Known>()
  private loading: Promise<void> | undefined
  private isLoaded = false
  private readonly properties = new RecordProperties()

  constructor(
    private readonly topic: Topic,
    private readonly rule: DedupRule,
    private readonly store: LogStore,
    private readonly clock: Clock,
    private readonly scheduler: Scheduler,
  ) {
    this.property = rule.property
  }

  /** Stores those whose key is not known. Resolves with where each is, or where the first one with its key is. */
  async append(messages: readonly (readonly [string | undefined, MessageToAppend])[]): Promise<Appended[]> {
    if (!this.isLoaded) await (this.loading ??= this.load())
    const now = this.clock.now()
    this.forget(now)
    return Promise.all(
      messages.map(([key, message]) => {
        if (key === undefined) return this.store.append(message)
        const known = this.known.get(key)
        if (known !== undefined) return known.stored
        const stored = this.store.append(message)
        const added = { stored, at: now }
        this.known.set(key, added)
        // What was not stored may be sent again.
        stored.catch(() => {
          if (this.known.get(key) === added) this.known.delete(key)
        })
        return stored
      }),
    )
  }

  private forget(now: number): void {
    const { countMax, windowMs } = this.rule
    const keep = Math.min(countMax, KEYS_MAX)
    for (const [key, { at }] of this.known) {
      if (this.known.size <= keep && (windowMs === undefined || at >= now - windowMs)) break
      this.known.delete(key)
    }
  }

  /** Reads the newest messages of all queues, and keeps those within the window in the order they were stored. */
  private async load(): Promise<void> {
    const { store, topic, rule } = this
    const found: { key: string; appended: Appended }[] = []
    const since = rule.windowMs === undefined ? undefined : this.clock.now() - rule.windowMs
    const countMax = Math.min(rule.countMax, KEYS_MAX)
    const entries = new Float64Array(ENTRIES_PER_TURN * ENTRY_NUMBERS)
    let record = Buffer.allocUnsafe(4096)
    const queueCount = Math.max(topic.readQueueNums, topic.writeQueueNums)
    for (let queueId = 0; queueId < queueCount; queueId++) {
      const queue = store.queue(store.topic(topic.name), queueId)
      const end = store.visibleOffset(queue)
      let offset = Math.max(
        store.firstOffset(queue),
        end - countMax,
        since === undefined ? 0 : store.offsetByTime(topic.name, queueId, since, 'lower'),
      )
      while (offset < end) {
        const count = store.readEntries(queue, offset, Math.min(ENTRIES_PER_TURN, end - offset), entries)
        if (count === 0) break
        for (let i = 0; i < count; i++, offset++) {
          const position = entries[i * ENTRY_NUMBERS]!
          const sizeBytes = entries[i * ENTRY_NUMBERS + 1]!
          if (sizeBytes > record.length) record = Buffer.allocUnsafe(sizeBytes * 2)
          if (!store.reader.copy(position, sizeBytes, record, 0)) continue
          if (!this.properties.locate(record, 0, sizeBytes)) continue
          const key = this.properties.text(this.property)
          const storeTimestamp = storeTimeOf(record)
          if (key !== undefined)
            found.push({ key, appended: { position, sizeBytes, queueOffset: offset, storeTimestamp } })
        }
        await new Promise<void>(resolve => this.scheduler.turn(resolve))
      }
    }
    found.sort((a, b) => a.appended.position - b.appended.position)
    // The first one with a key is the one that counts.
    for (const { key, appended } of found.slice(-countMax))
      if (!this.known.has(key)) this.known.set(key, { stored: Promise.resolve(appended), at: appended.storeTimestamp })
    this.isLoaded = true
  }
}

/** The windows of all topics that have one. */
export class DedupWindows {
  private readonly windows = new Map<string, { topic: Topic; readonly rule: DedupRule; readonly window: DedupWindow }>()

  constructor(
    private readonly store: LogStore,
    private readonly clock: Clock,
    private readonly scheduler: Scheduler,
  ) {}

  /** Undefined: the topic has none. One whose rule was changed begins with what its queues hold. */
  of(topic: Topic): DedupWindow | undefined {
    const known = this.windows.get(topic.name)
    if (known?.topic === topic) return known.window
    const rule = dedupRuleOf(topic.attributes)
    if (known !== undefined && rule !== undefined && known.topic.id === topic.id && isSameRule(known.rule, rule)) {
      known.topic = topic
      return known.window
    }
    this.windows.delete(topic.name)
    if (rule === undefined) return undefined
    const window = new DedupWindow(topic, rule, this.store, this.clock, this.scheduler)
    this.windows.set(topic.name, { topic, rule, window })
    return window
  }
}

function isSameRule(a: DedupRule, b: DedupRule): boolean {
  return a.windowMs === b.windowMs && a.countMax === b.countMax && a.property === b.property
}

/** Store time of a record. messages.md §1 */
function storeTimeOf(record: Buffer): number {
  const at = (record.readInt32BE(36) & 0x10) === 0 ? 56 : 68
  return record.readInt32BE(at) * 0x1_0000_0000 + record.readUInt32BE(at + 4)
}
