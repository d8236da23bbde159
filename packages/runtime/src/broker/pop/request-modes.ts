import { type Decoded, isRetryTopic, parseLenientJson } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'

/** How the queues of a topic reach a group's consumers. */
export interface RequestMode {
  readonly topic: string
  readonly consumerGroup: string
  readonly mode: 'PULL' | 'POP'
  /** With POP: how many other clients share the queues of one; none or too many mean all. */
  readonly popShareQueueNum: number
}

/** Modes that operators set, by topic and group; durable. @see RocketMQ `MessageRequestModeManager` */
export class RequestModes {
  constructor(
    private readonly records: MetadataTable<RequestMode>,
    private readonly config: () => BrokerConfig,
  ) {}

  /** What was set, or the broker's default. Retry topics are pulled. */
  of(topic: string, consumerGroup: string): RequestMode {
    const set = this.records.get(keyOf(topic, consumerGroup))
    if (set) return set
    const { defaultMessageRequestMode, defaultPopShareQueueNum } = this.config()
    return {
      topic,
      consumerGroup,
      mode: isRetryTopic(topic) ? 'PULL' : defaultMessageRequestMode,
      popShareQueueNum: defaultPopShareQueueNum,
    }
  }

  /** Resolves when it is durable. @throws MillraceError DISK_FULL | DISK_FAILED */
  set(mode: RequestMode): Promise<void> {
    return this.records.put(keyOf(mode.topic, mode.consumerGroup), mode)
  }

  /** Topic → group → mode, of those that were set. */
  all(): Map<string, Map<string, RequestMode>> {
    const all = new Map<string, Map<string, RequestMode>>()
    for (const [, mode] of this.records.entries()) {
      const groups = all.get(mode.topic) ?? new Map<string, RequestMode>()
      all.set(mode.topic, groups.set(mode.consumerGroup, mode))
    }
    return all
  }
}

function keyOf(topic: string, group: string): string {
  return `${topic}@${group}`
}

/** Body of SET_MESSAGE_REQUEST_MODE [401]. */
export function decodeRequestMode(body: Buffer | undefined): Decoded<RequestMode> {
  const parsed = parseLenientJson(body ?? '')
  if (!parsed.ok) return parsed
  const { consumerGroup, mode, popShareQueueNum, topic } = Object(parsed.value) as Record<string, unknown>
  if (typeof topic !== 'string' || typeof consumerGroup !== 'string')
    return { ok: false, reason: 'the body names no topic or no consumerGroup' }
  if (mode !== 'PULL' && mode !== 'POP') return { ok: false, reason: `mode ${String(mode)} is neither PULL nor POP` }
  const share = popShareQueueNum ?? 0
  if (typeof share !== 'number' || !Number.isInteger(share))
    return { ok: false, reason: 'popShareQueueNum is no integer' }
  return { ok: true, value: { topic, consumerGroup, mode, popShareQueueNum: share } }
}
