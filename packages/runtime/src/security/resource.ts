import { DLQ_TOPIC_PREFIX, RETRY_TOPIC_PREFIX } from '@millrace/core'

/** What a permission is about. `Any` stands in policies only. */
export type ResourceType = 'Any' | 'Cluster' | 'Namespace' | 'Topic' | 'Group'

/** Which names a policy's resource covers, the narrowest first. */
export type ResourcePattern = 'literal' | 'prefixed' | 'any'

/** Names of one type that a policy entry is about. Written `Topic:orders`, `Topic:ord*`, `Topic:*`, `*`. */
export interface Resource {
  readonly type: ResourceType
  readonly pattern: ResourcePattern
  /** The name, or what names begin with; empty for 'any'. */
  readonly name: string
}

const TYPES: readonly ResourceType[] = ['Any', 'Cluster', 'Namespace', 'Topic', 'Group']

/** Undefined for a text that names no resource. RocketMQ `Resource#of` */
export function parseResource(text: string): Resource | undefined {
  if (text === '*') return { type: 'Any', pattern: 'any', name: '' }
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const written = text.slice(0, colon).toLowerCase()
  const type = TYPES.find(each => each.toLowerCase() === written)
  const name = text.slice(colon + 1)
  if (type === undefined || name === '') return undefined
  if (name === '*') return { type, pattern: 'any', name: '' }
  if (name.endsWith('*')) return { type, pattern: 'prefixed', name: name.slice(0, name.indexOf('*')) }
  return { type, pattern: 'literal', name }
}

export function formatResource({ type, pattern, name }: Resource): string {
  if (type === 'Any') return '*'
  return `${type}:${pattern === 'any' ? '*' : pattern === 'prefixed' ? `${name}*` : name}`
}

/** Does the resource of a policy cover the thing `name` of `type`? */
export function covers(resource: Resource, type: ResourceType, name: string): boolean {
  if (resource.type === 'Any') return true
  if (resource.type !== type) return false
  switch (resource.pattern) {
    case 'any':
      return true
    case 'prefixed':
      return name.startsWith(resource.name)
    case 'literal':
      return name === resource.name
  }
}

const PATTERN_RANK: Readonly<Record<ResourcePattern, number>> = { literal: 0, prefixed: 1, any: 2 }

/** Below 0 when `a` is narrower than `b`: its word counts first. Both cover the same thing. */
export function compareWidth(a: Resource, b: Resource): number {
  if (a.type !== b.type) return a.type === 'Any' ? 1 : -1
  return PATTERN_RANK[a.pattern] - PATTERN_RANK[b.pattern] || b.name.length - a.name.length
}

/** Is it the topic that holds a group's retries? Access to it is access to the group. */
export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_TOPIC_PREFIX)
}

/** The group that a retry or dead-letter topic belongs to; other names as they are. */
export function groupOf(name: string): string {
  if (name.startsWith(RETRY_TOPIC_PREFIX)) return name.slice(RETRY_TOPIC_PREFIX.length)
  return name.startsWith(DLQ_TOPIC_PREFIX) ? name.slice(DLQ_TOPIC_PREFIX.length) : name
}
