/** Java's `String.hashCode` of a tag: 32-bit signed, over UTF-16 units; 0 without a tag. messages.md §7 */
export function tagHash(tag: string): number {
  let hash = 0
  for (let i = 0; i < tag.length; i++) hash = (Math.imul(hash, 31) + tag.charCodeAt(i)) | 0
  return hash
}

/** A parsed tag subscription. */
export interface TagExpression {
  /** As the official library keeps it: `*` for an absent or empty text, else the text itself. */
  readonly text: string
  /** Every message matches, whatever its tag. */
  readonly isAll: boolean
  /** Tags asked for, in order, without repeats. */
  readonly tags: readonly string[]
  /** Hashes of `tags`: what brokers compare. */
  readonly tagHashes: ReadonlySet<number>
}

/** Reads `TagA || TagB`. Absent, empty and `*` ask for everything. behaviour.md §7 */
export function parseTagExpression(text: string | undefined): TagExpression {
  if (text === undefined || text === '' || text === '*')
    return { text: '*', isAll: true, tags: [], tagHashes: new Set() }
  const tags = new Set<string>()
  for (const part of text.split('||')) {
    const tag = part.trim()
    if (tag !== '') tags.add(tag)
  }
  return { text, isAll: false, tags: [...tags], tagHashes: new Set([...tags].map(tagHash)) }
}
