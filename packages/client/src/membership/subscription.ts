import { MillraceError, parseTagExpression, type SubscriptionData } from '@millrace/core'

/** What a consumer wants of a topic: `*`, tags as `TagA || TagB`, or an SQL92 expression over properties. */
export type TopicFilter = string | { readonly sql: string }

/** Topics, all of their messages; or a filter for each. */
export type Topics = readonly string[] | Readonly<Record<string, TopicFilter>>

/** @throws MillraceError INVALID_ARGUMENT when no topic is named or a filter is empty. */
export function subscriptionsOf(topics: Topics, version: number): SubscriptionData[] {
  const filters: [string, TopicFilter][] = Array.isArray(topics)
    ? topics.map(topic => [topic, '*'])
    : Object.entries(topics as Readonly<Record<string, TopicFilter>>)
  if (filters.length === 0)
    throw new MillraceError('INVALID_ARGUMENT', 'a consumer needs at least one topic; write topics: ["orders"]')
  return filters.map(([topic, filter]) => subscriptionOf(topic, filter, version))
}

export function subscriptionOf(topic: string, filter: TopicFilter, version: number): SubscriptionData {
  const common = { topic, subVersion: version, classFilterMode: false } as const
  if (typeof filter !== 'string')
    return { ...common, subString: filter.sql, tagsSet: [], codeSet: [], expressionType: 'SQL92' }
  const { text, isAll, tags, tagHashes } = parseTagExpression(filter.trim())
  if (!isAll && tags.length === 0)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `"${filter}" names no tag for topic "${topic}"; write "TagA || TagB" or "*"`,
    )
  return { ...common, subString: text, tagsSet: tags, codeSet: [...tagHashes], expressionType: 'TAG' }
}

/** Brokers compare hashes of tags, so that a rare other tag comes through: the rest is decided here. */
export function tagMatches(subscription: SubscriptionData, tag: string | undefined): boolean {
  if (subscription.tagsSet.length === 0) return true
  return tag !== undefined && subscription.tagsSet.includes(tag)
}
