import { MillraceError, tagHash } from '@millrace/core'

/** What a consumer wants of a topic: `*`, tags as `TagA || TagB`, or an SQL92 expression over properties. */
export type TopicFilter = string | { readonly sql: string }

/** Topics, all of their messages; or a filter for each. */
export type Topics = readonly string[] | Readonly<Record<string, TopicFilter>>

/** A subscription as brokers read it. behaviour.md §2 */
export interface Subscription {
  readonly topic: string
  readonly subString: string
  readonly tagsSet: readonly string[]
  readonly codeSet: readonly number[]
  /** Milliseconds; the newest wins. */
  readonly subVersion: number
  readonly expressionType: 'TAG' | 'SQL92'
  readonly classFilterMode: false
}

/** @throws MillraceError INVALID_ARGUMENT when no topic is named or a filter is empty. */
export function subscriptionsOf(topics: Topics, version: number): Subscription[] {
  const filters: [string, TopicFilter][] = Array.isArray(topics)
    ? topics.map(topic => [topic, '*'])
    : Object.entries(topics as Readonly<Record<string, TopicFilter>>)
  if (filters.length === 0)
    throw new MillraceError('INVALID_ARGUMENT', 'a consumer needs at least one topic; write topics: ["orders"]')
  return filters.map(([topic, filter]) => subscriptionOf(topic, filter, version))
}

export function subscriptionOf(topic: string, filter: TopicFilter, version: number): Subscription {
  const common = { topic, subVersion: version, classFilterMode: false } as const
  if (typeof filter !== 'string')
    return { ...common, subString: filter.sql, tagsSet: [], codeSet: [], expressionType: 'SQL92' }
  const tags = filter.trim() === '' || filter.trim() === '*' ? [] : tagsOf(filter)
  if (tags.length === 0 && filter.includes('||'))
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `"${filter}" names no tag for topic "${topic}"; write "TagA || TagB" or "*"`,
    )
  return {
    ...common,
    subString: tags.length === 0 ? '*' : filter,
    tagsSet: tags,
    codeSet: tags.map(tagHash),
    expressionType: 'TAG',
  }
}

/** Brokers compare hashes of tags, so that a rare other tag comes through: the rest is decided here. */
export function tagMatches(subscription: Subscription, tag: string | undefined): boolean {
  if (subscription.tagsSet.length === 0) return true
  return tag !== undefined && subscription.tagsSet.includes(tag)
}

function tagsOf(expression: string): string[] {
  const tags = expression.split('||').map(tag => tag.trim())
  return [...new Set(tags.filter(tag => tag !== ''))]
}
