import type { Header, HeaderResult } from './binary-header.js'

/**
 * Decodes the JSON header in [start, end). Takes what clients in the field send: keys in any order, missing or
 * unknown; numbers and booleans as ext values; `remark: null`. Never throws.
 */
export function decodeJsonHeader(buffer: Buffer, start: number, end: number): HeaderResult {
  let parsed: unknown
  try {
    parsed = JSON.parse(buffer.toString('utf8', start, end))
  } catch {
    // Bad bytes are an ordinary input of a decoder; the position that JSON.parse reports helps nobody here.
    return { ok: false, reason: 'header is not JSON' }
  }
  if (!isObject(parsed)) return { ok: false, reason: 'JSON header is not an object' }
  const code = integer(parsed['code'])
  if (code === undefined) return { ok: false, reason: 'JSON header has no integer "code"' }
  const { language, remark } = parsed
  return {
    ok: true,
    header: {
      code,
      language: typeof language === 'string' ? language : 'OTHER',
      version: integer(parsed['version']) ?? 0,
      opaque: integer(parsed['opaque']) ?? 0,
      flag: integer(parsed['flag']) ?? 0,
      remark: typeof remark === 'string' ? remark : undefined,
      extFields: textFields(parsed['extFields']),
    },
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function integer(value: unknown): number | undefined {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return Number.isSafeInteger(number) ? (number as number) : undefined
}

function textFields(value: unknown): Record<string, string> {
  if (!isObject(value)) return Object.create(null)
  if (allStrings(value)) return value
  const fields: Record<string, string> = Object.create(null)
  for (const [name, field] of Object.entries(value)) {
    // Nested values have no meaning here; leaving them out also keeps deep nesting from ever being walked.
    if (field !== null && typeof field !== 'object') fields[name] = String(field)
  }
  return fields
}

function allStrings(value: Record<string, unknown>): value is Record<string, string> {
  for (const name in value) if (typeof value[name] !== 'string') return false
  return true
}

/** Encodes a JSON header. An undefined remark and an empty ext field map are left out, as the official library does. */
export function encodeJsonHeader(header: Header): Buffer {
  const { code, language, version, opaque, flag, remark, extFields } = header
  const fields = hasFields(extFields) ? extFields : undefined
  return Buffer.from(
    JSON.stringify({
      code,
      extFields: fields,
      flag,
      language,
      opaque,
      remark,
      serializeTypeCurrentRPC: 'JSON',
      version,
    }),
  )
}

function hasFields(fields: Readonly<Record<string, string>>): boolean {
  for (const _name in fields) return true
  return false
}
