import { type JsonInput, type LenientJson, parseLenientJson } from '../json/lenient-json.js'

/** A decoded body, or why it is none. */
export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

/** Members of a JSON object, by name. */
export type Members = { readonly [name: string]: LenientJson | undefined }

/**
 * Decodes a JSON body whose outermost value is an object. `read` gets its members and takes what has the right type:
 * peers of all ages and languages leave members out, so what is missing or mistyped gets its default.
 */
export function decodeObject<T>(body: Uint8Array | undefined, read: (members: Members) => T): Decoded<T> {
  if (body === undefined) return { ok: false, reason: 'the request has no body' }
  const parsed = parseLenientJson(body)
  if (!parsed.ok) return parsed
  if (!isMembers(parsed.value)) return { ok: false, reason: 'the body is not a JSON object' }
  return { ok: true, value: read(parsed.value) }
}

function isMembers(value: LenientJson | undefined): value is { readonly [name: string]: LenientJson } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)
}

export function textOf(value: LenientJson | undefined, missing = ''): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : missing
}

/** A number, or a text that is one. */
export function numberOf(value: LenientJson | undefined, missing = 0): number {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : missing
}

export function booleanOf(value: LenientJson | undefined, missing = false): boolean {
  if (typeof value === 'boolean') return value
  if (value === 'true' || value === 1 || value === '1') return true
  return value === 'false' || value === 0 || value === '0' ? false : missing
}

/** Items of an array that are objects, read one by one. */
export function objectsOf<T>(value: LenientJson | undefined, read: (members: Members) => T): T[] {
  if (!Array.isArray(value)) return []
  return (value as readonly LenientJson[]).filter(isMembers).map(read)
}

export function textsOf(value: LenientJson | undefined): string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

export function numbersOf(value: LenientJson | undefined): number[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'number') : []
}

/** Members of an object, read one by one; also when its keys were numbers. */
export function tableOf<T>(
  value: LenientJson | undefined,
  read: (value: LenientJson, name: string) => T | undefined,
): Record<string, T> {
  const table: Record<string, T> = Object.create(null)
  if (!isMembers(value)) return table
  for (const [name, member] of Object.entries(value)) {
    const read1 = read(member, name)
    if (read1 !== undefined) table[name] = read1
  }
  return table
}

/** Members of a nested object; no members when it is missing. */
export function membersOf(value: LenientJson | undefined): Members {
  return isMembers(value) ? value : {}
}

/** Entries of an object-keyed map, whose keys are objects; also none when it was written as `{}`. */
export function entriesOf<K, V>(
  value: LenientJson | undefined,
  readKey: (members: Members) => K,
  readValue: (value: LenientJson) => V,
): Map<K, V> {
  const entries = new Map<K, V>()
  if (!(value instanceof Map)) return entries
  for (const [key, member] of value as ReadonlyMap<LenientJson, LenientJson>)
    if (isMembers(key)) entries.set(readKey(key), readValue(member))
  return entries
}

/** Our body types are plain data with readonly members, which TypeScript does not take for an index signature. */
export function asJson(body: object): JsonInput {
  return body as { readonly [name: string]: JsonInput }
}
