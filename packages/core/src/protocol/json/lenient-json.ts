/**
 * What `parseLenientJson` yields. An object with at least one object as key (which strict JSON cannot say) is a Map;
 * every other object is a plain object.
 */
export type LenientJson =
  | null
  | boolean
  | number
  | string
  | readonly LenientJson[]
  | { readonly [name: string]: LenientJson }
  | ReadonlyMap<LenientJson, LenientJson>

export type JsonResult =
  | { readonly ok: true; readonly value: LenientJson }
  | { readonly ok: false; readonly reason: string }

/** Deepest nesting that is read. Real bodies need 6. */
const DEPTH_MAX = 64

/**
 * Parses the JSON of remoting bodies: strict JSON, and the two extensions of the Java library that clients use,
 * numbers as unquoted keys (`{0:"a"}`) and objects as keys (`{{"queueId":0}:1}`). Never throws. remoting.md §9
 */
export function parseLenientJson(source: string | Uint8Array): JsonResult {
  const text =
    typeof source === 'string' ? source : Buffer.from(source.buffer, source.byteOffset, source.length).toString()
  try {
    return { ok: true, value: JSON.parse(text) as LenientJson }
  } catch {
    // Not strict JSON; the slower parser below says whether it is lenient JSON.
    return new Parser(text).parse()
  }
}

class Parser {
  private at = 0
  private reason: string | undefined

  constructor(private readonly text: string) {}

  parse(): JsonResult {
    const value = this.value(0)
    if (this.reason === undefined && this.peek() !== '') this.fail('text after the value')
    return this.reason === undefined ? { ok: true, value } : { ok: false, reason: this.reason }
  }

  private fail(what: string): null {
    this.reason ??= `${what} at character ${this.at} of the JSON`
    return null
  }

  /** Next character that is no white space; '' at the end. */
  private peek(): string {
    while (/[ \t\n\r]/.test(this.text.charAt(this.at))) this.at++
    return this.text.charAt(this.at)
  }

  private value(depth: number): LenientJson {
    if (depth > DEPTH_MAX) return this.fail(`nesting over ${DEPTH_MAX}`)
    switch (this.peek()) {
      case '{':
        return this.object(depth)
      case '[':
        return this.array(depth)
      case '"':
        return this.string()
      default:
        return this.word()
    }
  }

  private object(depth: number): LenientJson {
    const entries: [LenientJson, LenientJson][] = []
    let hasObjectKey = false
    this.at++
    if (this.peek() === '}') {
      this.at++
      return {}
    }
    for (;;) {
      const key = this.value(depth + 1)
      if (this.peek() !== ':') return this.fail('no ":"')
      this.at++
      const value = this.value(depth + 1)
      if (this.reason !== undefined) return null
      hasObjectKey ||= typeof key === 'object' && key !== null
      entries.push([key, value])
      const next = this.peek()
      this.at++
      if (next === '}') break
      if (next !== ',') return this.fail('no "," or "}"')
    }
    if (hasObjectKey) return new Map(entries)
    const object: Record<string, LenientJson> = Object.create(null)
    for (const [key, value] of entries) object[String(key)] = value
    return object
  }

  private array(depth: number): LenientJson {
    const items: LenientJson[] = []
    this.at++
    if (this.peek() === ']') {
      this.at++
      return items
    }
    for (;;) {
      items.push(this.value(depth + 1))
      if (this.reason !== undefined) return null
      const next = this.peek()
      this.at++
      if (next === ']') return items
      if (next !== ',') return this.fail('no "," or "]"')
    }
  }

  private string(): LenientJson {
    let end = this.at + 1
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1
    return this.strict(end + 1)
  }

  /** A number, true, false or null. */
  private word(): LenientJson {
    let end = this.at
    while (/[-+.\w]/.test(this.text.charAt(end))) end++
    return this.strict(end)
  }

  private strict(end: number): LenientJson {
    const token = this.text.slice(this.at, end)
    try {
      const value = JSON.parse(token) as LenientJson
      this.at = end
      return value
    } catch {
      return this.fail('no JSON value')
    }
  }
}

/** What `formatJson` writes: plain data, and Maps with objects, numbers or strings as keys. */
export type JsonInput =
  | null
  | undefined
  | boolean
  | number
  | string
  | readonly JsonInput[]
  | { readonly [name: string]: JsonInput }
  | ReadonlyMap<object | number | string, JsonInput>

/**
 * Writes JSON as the Java clients read it: members that are null or undefined are left out, object keys of Maps are
 * written as objects with their members in alphabetical order (brokerName, queueId, topic), other keys as strings.
 */
export function formatJson(value: JsonInput): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (isArray(value)) return `[${value.map(formatJson).join(',')}]`
  const members: string[] = []
  if (value instanceof Map) {
    for (const [key, member] of value as ReadonlyMap<object | number | string, JsonInput>)
      members.push(`${typeof key === 'object' ? formatKey(key) : JSON.stringify(String(key))}:${formatJson(member)}`)
  } else {
    const object = value as { readonly [name: string]: JsonInput }
    for (const name of Object.keys(object)) {
      const member = object[name]
      if (member !== null && member !== undefined) members.push(`${JSON.stringify(name)}:${formatJson(member)}`)
    }
  }
  return `{${members.join(',')}}`
}

/** `Array.isArray` does not narrow away readonly arrays. */
function isArray(value: JsonInput): value is readonly JsonInput[] {
  return Array.isArray(value)
}

function formatKey(key: object): string {
  return formatJson(Object.fromEntries(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))))
}

/** `formatJson` as bytes: a body to send. */
export function formatJsonBody(value: JsonInput): Buffer {
  return Buffer.from(formatJson(value))
}
