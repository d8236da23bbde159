import { Lexer, type Token } from './sql92-lexer.js'
import {
  compareNode,
  constantNode,
  equalNode,
  inNode,
  isBoolean,
  isNullNode,
  isSearch,
  logicNode,
  type Node,
  nameNode,
  negateNode,
  notNode,
  type PropertyLookup,
  searchNode,
  truth,
} from './sql92-node.js'
import { compareNumbers, EVALUATION_ERROR, floatConstant, integerConstant, SqlNumber } from './sql92-value.js'

/** A compiled SQL92 filter. */
export interface Sql92Filter {
  /** Does a message with these properties match? Evaluation errors and null do not. Never throws. */
  matches(lookup: PropertyLookup): boolean
  /** The outcome in full, as tests and tools want it. */
  evaluate(lookup: PropertyLookup): boolean | null | 'evaluationError'
}

export type Sql92Result =
  | { readonly ok: true; readonly filter: Sql92Filter }
  | { readonly ok: false; readonly reason: string }

/** Deepest nesting of parentheses and signs, and longest chain of the kind `a IS NULL IS NULL`. */
const DEPTH_MAX = 100
/** Longest expression, in UTF-16 units: each message costs as much as the expression is long. */
const TEXT_MAX = 65_536

/**
 * Compiles a filter expression as the official filter module does: it takes the longest valid prefix and ignores what
 * follows, unless that starts with an illegal character. behaviour.md §7
 */
export function parseSql92(text: string): Sql92Result {
  if (text.length > TEXT_MAX)
    return { ok: false, reason: `the expression has ${text.length} characters, more than ${TEXT_MAX}` }
  const parser = new Parser(text)
  const root = parser.or()
  if (root === undefined) return { ok: false, reason: parser.reason }
  if (!isBoolean(root)) return { ok: false, reason: 'the expression is not true or false' }
  return {
    ok: true,
    filter: {
      matches: lookup => truth(root, lookup) === true,
      evaluate(lookup) {
        const value = truth(root, lookup)
        return value === EVALUATION_ERROR ? 'evaluationError' : value
      },
    },
  }
}

const ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  '>': order => order > 0,
  '>=': order => order >= 0,
  '<': order => order < 0,
  '<=': order => order <= 0,
}

/** Recursive descent; each rule gives undefined when the expression is refused, and `reason` says why. */
class Parser {
  reason = ''
  private readonly lexer: Lexer
  private token: Token
  private depth = 0

  constructor(text: string) {
    this.lexer = new Lexer(text)
    this.token = this.lexer.next()
  }

  or(): Node | undefined {
    return this.row(true, 'OR', () => this.and())
  }

  private and(): Node | undefined {
    return this.row(false, 'AND', () => this.equality())
  }

  private row(decisive: boolean, keyword: string, part: () => Node | undefined): Node | undefined {
    const first = part()
    if (first === undefined || !this.takeKeyword(keyword)) return first
    const parts = [first]
    do {
      const next = part()
      if (next === undefined) return undefined
      parts.push(next)
    } while (this.takeKeyword(keyword))
    return parts.every(isBoolean)
      ? logicNode(decisive, parts)
      : this.refuse('AND and OR need true or false on both sides')
  }

  private equality(): Node | undefined {
    let left = this.comparison()
    for (let links = 0; left !== undefined; links++) {
      if (links > DEPTH_MAX) return this.refuse(`a comparison has more than ${DEPTH_MAX} links`)
      if (this.takeSymbol('=')) left = this.equal(left, this.comparison())
      else if (this.takeSymbol('<>')) {
        const equal = this.equal(left, this.comparison())
        left = equal && notNode(equal)
      } else if (this.takeKeyword('IS')) {
        const isNot = this.takeKeyword('NOT')
        if (!this.takeKeyword('NULL')) return this.unexpected()
        left = isNot ? notNode(isNullNode(left)) : isNullNode(left)
      } else break
    }
    return this.checked(left)
  }

  private equal(left: Node, right: Node | undefined): Node | undefined {
    if (right === undefined) return undefined
    if (isNull(left) || isNull(right)) return this.refuse('NULL cannot be compared; use IS NULL')
    return equalNode(left, right)
  }

  private comparison(): Node | undefined {
    let left = this.unary()
    for (let links = 0; left !== undefined; links++) {
      if (links > DEPTH_MAX) return this.refuse(`a comparison has more than ${DEPTH_MAX} links`)
      const accepts = this.token.kind === 'symbol' ? ORDERS[this.token.text] : undefined
      if (accepts !== undefined) {
        this.advance()
        const right = this.unary()
        left = right && this.ordered(left, right, accepts)
        continue
      }
      const isNegated = this.takeKeyword('NOT')
      const keyword = this.token.kind === 'keyword' ? this.token.text : ''
      if (isSearch(keyword)) {
        this.advance()
        const part = this.takeString()
        left = part === undefined ? this.unexpected() : searchNode(left, keyword, part, isNegated)
      } else if (this.takeKeyword('BETWEEN')) left = this.between(left, isNegated)
      else if (this.takeKeyword('IN')) left = this.in(left, isNegated)
      else break
    }
    return this.checked(left)
  }

  private ordered(left: Node, right: Node, accepts: (order: number) => boolean): Node | undefined {
    if (!isOrderable(left) || !isOrderable(right)) return this.refuse('only numbers and properties have an order')
    return compareNode(left, right, accepts)
  }

  private between(value: Node, isNegated: boolean): Node | undefined {
    const low = this.unary()
    if (low === undefined) return undefined
    if (!this.takeKeyword('AND')) return this.unexpected()
    const high = this.unary()
    if (high === undefined) return undefined
    if (!isNegated && low.constant instanceof SqlNumber && high.constant instanceof SqlNumber)
      if (compareNumbers(low.constant, high.constant) > 0) return this.refuse('BETWEEN has its higher bound first')
    const above = this.ordered(value, low, ORDERS[isNegated ? '<' : '>='])
    const below = this.ordered(value, high, ORDERS[isNegated ? '>' : '<='])
    return above && below && logicNode(isNegated, [above, below])
  }

  private in(name: Node, isNegated: boolean): Node | undefined {
    if (name.kind !== 'name') return this.refuse('IN needs a property on its left')
    if (!this.takeSymbol('(')) return this.unexpected()
    const texts = new Set<string>()
    do {
      const text = this.takeString()
      if (text === undefined) return this.unexpected()
      texts.add(text)
    } while (this.takeSymbol(','))
    if (!this.takeSymbol(')')) return this.unexpected()
    const node = inNode(name, texts)
    return isNegated ? notNode(node) : node
  }

  private unary(): Node | undefined {
    if (++this.depth > DEPTH_MAX) return this.refuse(`the expression is nested more than ${DEPTH_MAX} deep`)
    const node = this.signed()
    this.depth--
    return node
  }

  private signed(): Node | undefined {
    if (this.takeSymbol('+')) return this.unary()
    if (this.takeSymbol('-')) {
      const operand = this.unary()
      return operand && negateNode(operand)
    }
    if (this.takeKeyword('NOT')) {
      const operand = this.unary()
      if (operand !== undefined && !isBoolean(operand)) return this.refuse('NOT needs true or false')
      return operand && notNode(operand)
    }
    return this.primary()
  }

  private primary(): Node | undefined {
    const { kind, text } = this.token
    if (kind === 'string') return this.constant(text)
    if (kind === 'integer') return this.number(integerConstant(text))
    if (kind === 'float') return this.number(floatConstant(text))
    if (kind === 'name') {
      this.advance()
      return nameNode(text)
    }
    if (this.takeKeyword('TRUE')) return constantNode(true)
    if (this.takeKeyword('FALSE')) return constantNode(false)
    if (this.takeKeyword('NULL')) return constantNode(null)
    if (!this.takeSymbol('(')) return this.unexpected()
    const inner = this.or()
    if (inner !== undefined && !this.takeSymbol(')')) return this.unexpected()
    return inner
  }

  private constant(value: string | SqlNumber): Node {
    this.advance()
    return constantNode(value)
  }

  private number(value: SqlNumber | undefined): Node | undefined {
    return value === undefined ? this.refuse(`number ${this.token.text} is out of range`) : this.constant(value)
  }

  private advance(): void {
    this.token = this.lexer.next()
  }

  private takeSymbol(text: string): boolean {
    return this.take('symbol', text)
  }

  private takeKeyword(text: string): boolean {
    return this.take('keyword', text)
  }

  private take(kind: Token['kind'], text: string): boolean {
    if (this.token.kind !== kind || this.token.text !== text) return false
    this.advance()
    return true
  }

  private takeString(): string | undefined {
    if (this.token.kind !== 'string') return undefined
    const { text } = this.token
    this.advance()
    return text
  }

  /** The prefix may end before any token, but not before a character that starts none. */
  private checked(node: Node | undefined): Node | undefined {
    return node !== undefined && this.token.kind === 'illegal' ? this.unexpected() : node
  }

  private unexpected(): undefined {
    const { kind, text } = this.token
    return this.refuse(kind === 'end' ? 'the expression ends too early' : `unexpected "${text}"`)
  }

  private refuse(reason: string): undefined {
    this.reason ||= reason
    return undefined
  }
}

function isNull(node: Node): boolean {
  return node.kind === 'constant' && node.constant === null
}

function isOrderable(node: Node): boolean {
  return node.kind === 'constant' ? node.constant instanceof SqlNumber : node.kind !== 'boolean'
}
