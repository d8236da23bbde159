import { type LenientJson, type MessageQueue, parseLenientJson, readMessageQueue } from '@millrace/core'

type Members = { readonly [name: string]: LenientJson | undefined }

/** Members of the JSON object in an answer's body; none when the body is no object. */
export function membersOf(body: Buffer | undefined): Members {
  const parsed = body ? parseLenientJson(body) : undefined
  return parsed?.ok ? asMembers(parsed.value) : {}
}

export function asMembers(value: LenientJson | undefined): Members {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)
  return isObject ? (value as Members) : {}
}

export function asTexts(value: LenientJson | undefined): string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

export function asList(value: LenientJson | undefined): readonly Members[] {
  return Array.isArray(value) ? value.map(asMembers) : []
}

export function asText(value: LenientJson | undefined): string {
  return value === undefined || value === null || typeof value === 'object' ? '' : String(value)
}

export function asNumber(value: LenientJson | undefined): number {
  const number = Number(value ?? 0)
  return Number.isFinite(number) ? number : 0
}

/** Entries of a map keyed by queues, as 202 and 208 answer it. remoting.md §9 */
export function queueEntries(value: LenientJson | undefined): [MessageQueue, Members][] {
  if (!(value instanceof Map)) return []
  return [...value].map(([key, entry]) => [readMessageQueue(asMembers(key)), asMembers(entry)])
}
