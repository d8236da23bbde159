import { parseSql92, parseTagExpression, RecordProperties } from '@millrace/core'

/** Which messages a subscription takes. `undefined` in its place takes all. behaviour.md §7 */
export interface MessageFilter {
  /** Java hashes of the tags it takes; undefined: tags do not decide. Clients compare the tags themselves. */
  readonly tagHashes: ReadonlySet<number> | undefined
  /**
   * Decides by the stored record in [start, end) of `bytes`, which may lack its body; undefined: tags alone decide.
   * Never throws.
   */
  readonly takes: ((bytes: Buffer, start: number, end: number) => boolean) | undefined
}

/** `filter` undefined: takes all. */
export type FilterResult =
  | { readonly ok: true; readonly filter: MessageFilter | undefined }
  | { readonly ok: false; readonly reason: string }

const ALL: FilterResult = { ok: true, filter: undefined }
/** Filters and the UTF-16 units of their texts that are kept; past either all are made anew. */
const FILTERS_KEPT = 4096
const TEXT_KEPT = 4 * 2 ** 20

/** Does the type of expression look at tags? Some clients leave it out. */
export function isTagType(expressionType: string): boolean {
  return expressionType === '' || expressionType === 'TAG'
}

/** Filters by type and text: consumers send the same few over and over. */
export class MessageFilters {
  private readonly tags = new Map<string, FilterResult>()
  private readonly sql = new Map<string, FilterResult>()
  private keptText = 0

  /** @param expressionType TAG (or empty) or SQL92 */
  of(expressionType: string, expression: string): FilterResult {
    if (isTagType(expressionType)) {
      if (expression === '' || expression === '*') return ALL
      return this.tags.get(expression) ?? this.keep(this.tags, expression, tagFilter(expression))
    }
    if (expressionType !== 'SQL92') return { ok: false, reason: `there is no filter type ${expressionType}` }
    return this.sql.get(expression) ?? this.keep(this.sql, expression, sqlFilter(expression))
  }

  private keep(known: Map<string, FilterResult>, expression: string, result: FilterResult): FilterResult {
    this.keptText += expression.length
    if (this.tags.size + this.sql.size >= FILTERS_KEPT || this.keptText > TEXT_KEPT) {
      this.tags.clear()
      this.sql.clear()
      this.keptText = expression.length
    }
    known.set(expression, result)
    return result
  }
}

function tagFilter(expression: string): FilterResult {
  const { isAll, tagHashes } = parseTagExpression(expression)
  return isAll ? ALL : { ok: true, filter: { tagHashes, takes: undefined } }
}

/** One for all filters: each points it at a record and is done with it before the next. */
const properties = new RecordProperties()

function sqlFilter(expression: string): FilterResult {
  const parsed = parseSql92(expression)
  if (!parsed.ok) return parsed
  const { filter } = parsed
  return {
    ok: true,
    filter: {
      tagHashes: undefined,
      takes: (bytes, start, end) => properties.locate(bytes, start, end) && filter.matches(properties.text),
    },
  }
}
