import {
  compareNumbers,
  EVALUATION_ERROR,
  negate,
  parseAs,
  parseDouble,
  parseInt32,
  SqlNumber,
  type SqlValue,
} from './sql92-value.js'

/** Text of a message property; undefined when the message has none of that name. */
export type PropertyLookup = (name: string) => string | undefined

export type Evaluated = SqlValue | typeof EVALUATION_ERROR

/** A compiled part of an expression. */
export interface Node {
  /** A bare property is `name`; what yields true, false or null is `boolean`; the rest are values. */
  readonly kind: 'name' | 'constant' | 'boolean' | 'value'
  /** Of constants only. */
  readonly constant?: SqlValue
  readonly evaluate: (lookup: PropertyLookup) => Evaluated
}

export function constantNode(constant: SqlValue): Node {
  return { kind: 'constant', constant, evaluate: () => constant }
}

export function nameNode(name: string): Node {
  return { kind: 'name', evaluate: lookup => lookup(name) ?? null }
}

export function negateNode(node: Node): Node {
  return {
    kind: 'value',
    evaluate(lookup) {
      const value = node.evaluate(lookup)
      return value === EVALUATION_ERROR ? value : negate(value)
    },
  }
}

/** May the node stand where a truth value is needed? */
export function isBoolean(node: Node): boolean {
  if (node.kind !== 'constant') return node.kind !== 'value'
  return node.constant === null || typeof node.constant === 'boolean'
}

/** Truth value: a missing property is null, one that is there is false, whatever its text. */
export function truth(node: Node, lookup: PropertyLookup): boolean | null | typeof EVALUATION_ERROR {
  const value = node.evaluate(lookup)
  if (value === EVALUATION_ERROR || value === null) return value
  return value === true
}

export function notNode(node: Node): Node {
  return {
    kind: 'boolean',
    evaluate(lookup) {
      const value = truth(node, lookup)
      return typeof value === 'boolean' ? !value : value
    },
  }
}

/**
 * AND (`decisive` false) and OR (`decisive` true): a part with the decisive value spares those on its right. One node
 * for any number of parts, so that a long row of them does not nest.
 */
export function logicNode(decisive: boolean, parts: readonly Node[]): Node {
  return {
    kind: 'boolean',
    evaluate(lookup) {
      let isKnown = true
      for (const part of parts) {
        const value = truth(part, lookup)
        if (value === decisive || value === EVALUATION_ERROR) return value
        if (value === null) isKnown = false
      }
      return isKnown ? !decisive : null
    },
  }
}

export function isNullNode(node: Node): Node {
  return {
    kind: 'boolean',
    evaluate(lookup) {
      const value = node.evaluate(lookup)
      return value === EVALUATION_ERROR ? value : value === null
    },
  }
}

export function equalNode(left: Node, right: Node): Node {
  const constant = int32Of(right)
  if (left.kind === 'name' && constant !== undefined) return intNode(left, value => value === constant)
  return {
    kind: 'boolean',
    evaluate(lookup) {
      const a = left.evaluate(lookup)
      if (a === EVALUATION_ERROR) return a
      const b = right.evaluate(lookup)
      return b === EVALUATION_ERROR ? b : areEqual(a, b)
    },
  }
}

/** The sides are not treated alike: that is how the official library does it, and vectors hold us to it. */
function areEqual(a: SqlValue, b: SqlValue): boolean | null | typeof EVALUATION_ERROR {
  if (a === null) return b === null ? true : null
  if (b === null) return false
  if (typeof a === 'string' && typeof b === 'string') return a === b
  if (typeof a === 'string' && typeof b === 'boolean') return (a.toLowerCase() === 'true') === b
  if (typeof a === 'boolean') return typeof b === 'string' ? EVALUATION_ERROR : a === b
  if (typeof b === 'boolean') return false
  const order = compareMixed(a, b)
  return typeof order === 'number' ? order === 0 : order
}

/** Order of two values of which at least one is a number, or of two texts that both have to be doubles. */
function compareMixed(a: SqlValue, b: SqlValue): number | null | typeof EVALUATION_ERROR {
  if (a === null || b === null) return null
  const left = numberOf(a, b)
  const right = numberOf(b, a)
  return left === undefined || right === undefined ? EVALUATION_ERROR : compareNumbers(left, right)
}

function numberOf(value: SqlValue, other: SqlValue): SqlNumber | undefined {
  if (value instanceof SqlNumber) return value
  if (typeof value !== 'string') return undefined
  return other instanceof SqlNumber ? parseAs(other.type, value) : parseDouble(value)
}

/** `accepts` gets the sign of left − right. */
export function compareNode(left: Node, right: Node, accepts: (order: number) => boolean): Node {
  const constant = int32Of(right)
  if (left.kind === 'name' && constant !== undefined) return intNode(left, value => accepts(value - constant))
  return {
    kind: 'boolean',
    evaluate(lookup) {
      const a = left.evaluate(lookup)
      if (a === EVALUATION_ERROR) return a
      const b = right.evaluate(lookup)
      if (b === EVALUATION_ERROR) return b
      const order = compareMixed(a, b)
      return typeof order === 'number' ? accepts(order) : order
    },
  }
}

/** The value of a constant that is a 32-bit whole number. */
function int32Of({ constant }: Node): number | undefined {
  return constant instanceof SqlNumber && constant.type === 'int' ? Number(constant.value) : undefined
}

/** A property against a small whole number, which is what most filters do: no object per message. */
function intNode(name: Node, accepts: (value: number) => boolean): Node {
  return {
    kind: 'boolean',
    evaluate(lookup) {
      const text = name.evaluate(lookup)
      if (text === null) return null
      const value = parseInt32(text as string)
      return value === undefined ? EVALUATION_ERROR : accepts(value)
    },
  }
}

export function inNode(name: Node, texts: ReadonlySet<string>): Node {
  return {
    kind: 'boolean',
    evaluate(lookup) {
      const value = name.evaluate(lookup)
      return typeof value === 'string' ? texts.has(value) : null
    },
  }
}

const SEARCHES = {
  CONTAINS: (text: string, part: string) => text.includes(part),
  STARTSWITH: (text: string, part: string) => text.startsWith(part),
  ENDSWITH: (text: string, part: string) => text.endsWith(part),
} as const

export type Search = keyof typeof SEARCHES

export function isSearch(keyword: string): keyword is Search {
  return keyword in SEARCHES
}

/** A missing property and an empty search text make it false, also when it is negated. */
export function searchNode(node: Node, search: Search, part: string, isNegated: boolean): Node {
  return {
    kind: 'boolean',
    evaluate(lookup) {
      const text = node.evaluate(lookup)
      if (text === EVALUATION_ERROR) return text
      return typeof text === 'string' && part !== '' && SEARCHES[search](text, part) !== isNegated
    },
  }
}
