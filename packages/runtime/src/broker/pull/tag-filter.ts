import { parseTagExpression } from '@millrace/core'

/** Which tag hashes a subscription takes; undefined takes all. Clients compare the tags themselves (behaviour.md §7). */
export type TagFilter = ReadonlySet<number> | undefined

const FILTERS_KEPT = 4096

/** Filters by their text: consumers send the same few over and over. */
export class TagFilters {
  private readonly known = new Map<string, TagFilter>()

  of(expression: string): TagFilter {
    if (expression === '' || expression === '*') return undefined
    if (this.known.has(expression)) return this.known.get(expression)
    const { isAll, tagHashes } = parseTagExpression(expression)
    const filter = isAll ? undefined : tagHashes
    if (this.known.size >= FILTERS_KEPT) this.known.clear()
    this.known.set(expression, filter)
    return filter
  }
}
