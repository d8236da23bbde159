import * as v from 'valibot'

/** One configuration property: how to read it, what it is without being set, and what to tell people about it. */
export interface Setting<T> {
  /** Reads a value as sources give it: text from flags, environment and `.conf` files, typed from JSON and modules. */
  readonly schema: v.GenericSchema<unknown, T>
  readonly initial: T
  readonly doc: string
  /** What a good value looks like; ends the sentence "…, expected". */
  readonly expected: string
  /** Other names of the same property. */
  readonly aliases?: readonly string[]
  /** Environment variables of other tools that mean the same, read after our own. */
  readonly environmentAliases?: readonly string[]
  /** Shown as `***`. */
  readonly isSecret?: boolean
}

type Extras = Pick<Setting<unknown>, 'aliases' | 'environmentAliases' | 'isSecret'>

/** The typed object a table of settings stands for. */
export type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never }

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  on: true,
  off: false,
  yes: true,
  no: false,
}

const booleanSchema = v.pipe(
  v.unknown(),
  v.transform(value => (typeof value === 'string' ? BOOLEANS[value.trim().toLowerCase()] : value)),
  v.boolean(),
)

export function flag(initial: boolean, doc: string, extras: Extras = {}): Setting<boolean> {
  return { schema: booleanSchema, initial, doc, expected: 'true or false', ...extras }
}

/** Text "04" is 4, as Java reads it; blank text is not 0. */
const toNumber = (value: unknown): unknown =>
  typeof value === 'string' && /^[+-]?\d+$/.test(value.trim()) ? Number(value) : value

interface Range {
  readonly min: number
  readonly max: number
}

const integerIn = (range: Range) => v.pipe(v.number(), v.safeInteger(), v.minValue(range.min), v.maxValue(range.max))

export function integer(initial: number, range: Range, doc: string, extras: Extras = {}): Setting<number> {
  const schema = v.pipe(v.unknown(), v.transform(toNumber), integerIn(range))
  return { schema, initial, doc, expected: `a whole number from ${range.min} to ${range.max}`, ...extras }
}

/** Milliseconds as a number, the way RocketMQ writes durations. */
export function milliseconds(
  initial: number,
  doc: string,
  range: Range = { min: 1, max: 2 ** 31 - 1 },
): Setting<number> {
  return { ...integer(initial, range, doc), expected: `milliseconds, a whole number from ${range.min} to ${range.max}` }
}

const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

function toBytes(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const parts = /^(\d+)\s*([BKMGT]?)(i?B)?$/i.exec(value.trim())
  const unitBytes = parts && UNIT_BYTES[parts[2].toUpperCase()]
  return unitBytes ? Number(parts[1]) * unitBytes : value
}

/** A number of bytes; text may carry a binary unit (`64MiB`, `1 G`). */
export function bytes(initial: number, range: Range, doc: string, extras: Extras = {}): Setting<number> {
  const schema = v.pipe(v.unknown(), v.transform(toBytes), integerIn(range))
  const expected = `bytes from ${formatBytes(range.min)} to ${formatBytes(range.max)}, such as 67108864 or 64MiB`
  return { schema, initial, doc, expected, ...extras }
}

function formatBytes(value: number): string {
  for (const unit of ['T', 'G', 'M', 'K']) {
    const size = UNIT_BYTES[unit]
    if (value >= size && value % size === 0) return `${value / size} ${unit}iB`
  }
  return String(value)
}

export function text(initial: string, doc: string, extras: Extras = {}): Setting<string> {
  const schema = v.pipe(v.string(), v.trim())
  return { schema, initial, doc, expected: 'text', ...extras }
}

export function pattern(
  initial: string,
  form: RegExp,
  expected: string,
  doc: string,
  extras: Extras = {},
): Setting<string> {
  const schema = v.pipe(v.string(), v.trim(), v.regex(form))
  return { schema, initial, doc, expected, ...extras }
}

export function choice<const T extends string>(
  choices: readonly T[],
  initial: NoInfer<T>,
  doc: string,
  extras: Extras = {},
): Setting<T> {
  const schema = v.pipe(v.unknown(), v.picklist(choices))
  return { schema, initial, doc, expected: choices.join(' or '), ...extras }
}
