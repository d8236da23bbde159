import { equalsBytes, PropertyName, SysFlag } from '@millrace/core'
import { RecordView } from '@millrace/storage'

const NAME_END = 1
const PAIR_END = 2

/** Names looked for, by what they are about. */
const NAMES = [
  PropertyName.TIMER_OUT_MS,
  PropertyName.TIMER_DELIVER_MS,
  PropertyName.REAL_TOPIC,
  PropertyName.REAL_QID,
  PropertyName.UNIQ_KEY,
  PropertyName.TIMER_DEL_UNIQKEY,
  PropertyName.TIMER_ROLL_TIMES,
  PropertyName.MILLRACE_ROLLED_FROM,
  PropertyName.MILLRACE_CRON,
  PropertyName.MILLRACE_REPEAT_MS,
] as const
type Name = (typeof NAMES)[number]

const NAME_BYTES: readonly Buffer[] = NAMES.map(name => Buffer.from(name))
const NAME_LENGTHS = new Set(NAME_BYTES.map(name => name.length))
const INDEX = Object.fromEntries(NAMES.map((name, index) => [name, index])) as Readonly<Record<Name, number>>
/** Apache's timers count in steps; a message that names its time exactly is due within the step. */
const STEP_MS = 1000

/**
 * What a record of the timer or schedule topic says about its delivery: one object, reused for every record.
 * Properties are found by one pass over their bytes; the last of a name counts, as for every reader.
 */
export class DelayedRecord {
  readonly view = new RecordView()
  /** Queue of the destination. */
  queueId = 0
  /** When it is due, ms; NaN when the record does not say. */
  due = Number.NaN
  private bytes: Buffer = Buffer.alloc(0)
  /** Start and end of each value, 0 when absent. */
  private readonly ranges = new Int32Array(NAMES.length * 2)
  private lastTopic = ''
  private lastTopicBytes: Buffer = Buffer.alloc(0)

  /** False when the record has no destination, or is no record. */
  read(record: Buffer): boolean {
    this.bytes = record
    const { view } = this
    if (view.read(record, 0, record.length) !== 'record') return false
    this.scan(record, view.propertiesStart, view.propertiesStart + view.propertiesLength)
    const queueId = this.number(PropertyName.REAL_QID)
    this.queueId = Number.isInteger(queueId) && queueId >= 0 ? queueId : 0
    this.due = this.dueTime()
    return this.has(PropertyName.REAL_TOPIC)
  }

  private dueTime(): number {
    const out = this.number(PropertyName.TIMER_OUT_MS)
    const exact = this.number(PropertyName.TIMER_DELIVER_MS)
    return exact > out && exact <= out + STEP_MS ? exact : out + 1
  }

  has(name: Name): boolean {
    return this.ranges[INDEX[name] * 2 + 1]! > 0
  }

  text(name: Name): string {
    const at = INDEX[name] * 2
    return this.bytes.toString('utf8', this.ranges[at]!, this.ranges[at + 1]!)
  }

  /** NaN when absent or no decimal number. */
  number(name: Name): number {
    if (!this.has(name)) return Number.NaN
    const at = INDEX[name] * 2
    const end = this.ranges[at + 1]!
    let value = 0
    for (let i = this.ranges[at]!; i < end; i++) {
      const digit = this.bytes[i]! - 0x30
      if (digit < 0 || digit > 9) return Number.NaN
      value = value * 10 + digit
    }
    return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN
  }

  /** Topic of the destination. */
  get topic(): string {
    const at = INDEX[PropertyName.REAL_TOPIC] * 2
    const start = this.ranges[at]!
    const end = this.ranges[at + 1]!
    if (equalsBytes(this.bytes, start, end, this.lastTopicBytes)) return this.lastTopic
    this.lastTopicBytes = Buffer.from(this.bytes.subarray(start, end))
    this.lastTopic = this.lastTopicBytes.toString('utf8')
    return this.lastTopic
  }

  get reconsumeTimes(): number {
    const { storeTimestampAt, sysFlag } = this.view
    return this.bytes.readInt32BE(storeTimestampAt + 8 + (sysFlag & SysFlag.STORE_HOST_V6 ? 20 : 8))
  }

  get isRepeated(): boolean {
    return this.has(PropertyName.MILLRACE_CRON) || this.has(PropertyName.MILLRACE_REPEAT_MS)
  }

  /** The property string as stored. */
  get properties(): Buffer {
    const { view } = this
    return this.bytes.subarray(view.propertiesStart, view.propertiesStart + view.propertiesLength)
  }

  private scan(bytes: Buffer, start: number, end: number): void {
    const { ranges } = this
    ranges.fill(0)
    let at = start
    while (at < end) {
      const nameStart = at
      while (at < end && bytes[at]! !== NAME_END && bytes[at]! !== PAIR_END) at++
      const nameEnd = at
      const hasValue = at < end && bytes[at] === NAME_END
      const valueStart = ++at
      if (!hasValue) continue
      while (at < end && bytes[at]! !== PAIR_END) at++
      if (at > valueStart && NAME_LENGTHS.has(nameEnd - nameStart)) {
        for (let i = 0; i < NAME_BYTES.length; i++) {
          if (!equalsBytes(bytes, nameStart, nameEnd, NAME_BYTES[i]!)) continue
          ranges[i * 2] = valueStart
          ranges[i * 2 + 1] = at
          break
        }
      }
      at++
    }
  }
}
