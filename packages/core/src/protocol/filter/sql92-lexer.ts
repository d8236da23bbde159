/** One token of a filter expression. `illegal` is a character that no token starts with. */
export type Token =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'integer'; readonly text: string }
  | { readonly kind: 'float'; readonly text: string }
  | { readonly kind: 'name'; readonly text: string }
  | { readonly kind: 'keyword'; readonly text: string }
  | { readonly kind: 'symbol'; readonly text: string }
  | { readonly kind: 'end'; readonly text: '' }
  | { readonly kind: 'illegal'; readonly text: string }

const KEYWORDS: ReadonlySet<string> = new Set([
  'NOT',
  'AND',
  'OR',
  'BETWEEN',
  'IN',
  'TRUE',
  'FALSE',
  'NULL',
  'IS',
  'CONTAINS',
  'STARTSWITH',
  'ENDSWITH',
])

/** Sticky patterns; of those that match, floats win over integers because they are longer. */
const BLANK = /(?:[ \t\n\r\f]+|--[^\n\r]*[\n\r]|\/\*[\s\S]*?\*\/)*/y
const STRING = /'((?:[^']|'')*)'/y
const FLOAT = /\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+/y
const INTEGER = /0|[1-9]\d*[lL]?/y
const NAME = /[A-Za-z_$][A-Za-z0-9_$]*/y
const SYMBOL = /<>|<=|>=|[=<>(),+-]/y

/** Cuts an expression into tokens, one at a time. behaviour.md §7 */
export class Lexer {
  private at = 0

  constructor(private readonly text: string) {}

  next(): Token {
    this.match(BLANK)
    if (this.at >= this.text.length) return { kind: 'end', text: '' }
    const string = this.match(STRING)
    if (string !== undefined) return { kind: 'string', text: string.slice(1, -1).replaceAll("''", "'") }
    const float = this.match(FLOAT)
    if (float !== undefined) return { kind: 'float', text: float }
    const integer = this.match(INTEGER)
    if (integer !== undefined) return { kind: 'integer', text: integer }
    const name = this.match(NAME)
    if (name !== undefined) {
      const upper = name.toUpperCase()
      return KEYWORDS.has(upper) ? { kind: 'keyword', text: upper } : { kind: 'name', text: name }
    }
    const symbol = this.match(SYMBOL)
    if (symbol !== undefined) return { kind: 'symbol', text: symbol }
    return { kind: 'illegal', text: this.text.charAt(this.at) }
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match === null) return undefined
    this.at = pattern.lastIndex
    return match[0]
  }
}
