import { type Behavior, receive, setup } from '@millrace/core'
import type { BrokerConfig } from '../config/index.js'
import type { Lag } from './lag-metrics.js'
import { gauge, type Metric } from './metric.js'

export interface AlarmOptions {
  readonly config: Pick<BrokerConfig, 'alarmDiskUsedRatio' | 'alarmLagSeconds' | 'storePathRootDir'>
  /** Why the store takes no messages; undefined while it does. */
  readonly refusal: () => Error | undefined
  /** Of the disk that holds the store; undefined when it cannot be asked. */
  readonly space: () => { readonly freeBytes: number; readonly totalBytes: number } | undefined
  readonly lags: () => readonly Lag[]
}

const PERIOD_MS = 10_000
/** Groups that are named in one look; more are counted. */
const GROUPS_NAMED_MAX = 20

/** The alarms that are on, by name; read by whoever shows them. */
export class AlarmBoard {
  readonly #on = new Map<string, string>()

  /** `notice` hears of an alarm when it begins, and when it is over. */
  constructor(private readonly notice: (sentence: string) => void) {}

  /** Takes what is wrong now: what is new is told, and so is what is over. */
  update(found: ReadonlyMap<string, string>): void {
    for (const [name, sentence] of found) if (!this.#on.has(name)) this.notice(sentence)
    for (const name of this.#on.keys()) if (!found.has(name)) this.notice(`over: ${name}`)
    this.#on.clear()
    for (const [name, sentence] of found) this.#on.set(name, sentence)
  }

  metrics(): Metric[] {
    return [gauge('millrace_alarms', 'Alarms that are on', this.#on.size)]
  }
}

/** Looks at the store, its disk and, when `alarmLagSeconds` is set, at the groups' lag every ten seconds. */
export function alarms(options: AlarmOptions, board: AlarmBoard): Behavior<'look-due'> {
  return setup(context => {
    context.every(PERIOD_MS, 'look-due')
    return receive(() => board.update(look(options)))
  })
}

function look({ config, lags, refusal, space }: AlarmOptions): Map<string, string> {
  const found = new Map<string, string>()
  const refused = refusal()
  if (refused) found.set('store takes no messages', `messages are refused: ${refused.message}`)
  const disk = space()
  if (disk && disk.totalBytes > 0) {
    const used = Math.round((1 - disk.freeBytes / disk.totalBytes) * 100)
    if (used >= config.alarmDiskUsedRatio)
      found.set(
        'disk nearly full',
        `the disk that holds "${config.storePathRootDir}" is ${used} % full (alarmDiskUsedRatio=${config.alarmDiskUsedRatio}); free space, or keep messages for less long`,
      )
  }
  if (config.alarmLagSeconds === 0) return found
  const late = lags().filter(lag => lag.ms > config.alarmLagSeconds * 1000)
  for (const { group, messages, ms, topic } of late.slice(0, GROUPS_NAMED_MAX))
    found.set(
      `group "${group}" late in "${topic}"`,
      `group "${group}" is ${Math.round(ms / 1000)} s and ${messages} messages behind in topic "${topic}" (alarmLagSeconds=${config.alarmLagSeconds})`,
    )
  if (late.length > GROUPS_NAMED_MAX)
    found.set('many groups late', `${late.length - GROUPS_NAMED_MAX} more groups are late in their topics`)
  return found
}
