/** Tells whether the address of a client is one of those that a rule names. */
export type AddressMatch = (host: string) => boolean

const MAPPED_IPV4 = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i

/** Bits of an IP address, or undefined when `text` is none. IPv4 inside IPv6 counts as IPv4. */
function parseAddress(text: string): { readonly bits: bigint; readonly width: 32 | 128 } | undefined {
  const plain = text.replace(MAPPED_IPV4, '')
  return plain.includes(':') ? parseIpv6(plain) : parseIpv4(plain)
}

function parseIpv4(text: string) {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let bits = 0n
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined
    bits = (bits << 8n) | BigInt(part)
  }
  return { bits, width: 32 as const }
}

function parseIpv6(text: string) {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(half => (half === '' ? [] : half.split(':'))) as [string[], string[] | undefined]
  const missing = 8 - head.length - (tail?.length ?? 0)
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  let bits = 0n
  for (const word of [...head, ...Array<string>(missing).fill('0'), ...(tail ?? [])]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(word)) return undefined
    bits = (bits << 16n) | BigInt(`0x${word}`)
  }
  return { bits, width: 128 as const }
}

/** `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`; undefined for anything else. RocketMQ `IPAddressUtils` */
export function parseCidr(text: string): AddressMatch | undefined {
  const [address, prefix, ...rest] = text.trim().split('/')
  const base = parseAddress(address)
  if (base === undefined || rest.length > 0) return undefined
  if (prefix !== undefined && (!/^\d{1,3}$/.test(prefix) || Number(prefix) > base.width)) return undefined
  const shift = BigInt(base.width - Number(prefix ?? base.width))
  return host => {
    const found = parseAddress(host)
    return found !== undefined && found.width === base.width && found.bits >> shift === base.bits >> shift
  }
}

/**
 * A remote address of a 1.0 account: empty for none, `*` for all, IPv4 with a part given as `*`, `1-20` or
 * `{1,5,9}`, several joined by `,` in braces only, or CIDR. Undefined for anything else.
 * RocketMQ 4.x `RemoteAddressStrategyFactory`
 */
export function parseWhitelistAddress(text: string): AddressMatch | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return () => false
  if (/^\*(\.\*\.\*\.\*)?$/.test(trimmed)) return () => true
  const cidr = parseCidr(trimmed)
  if (cidr) return cidr
  const parts = splitParts(trimmed)
  if (parts.length !== 4) return undefined
  const tests = parts.map(parsePart)
  if (tests.some(test => test === undefined)) return undefined
  return host => {
    const numbers = host.replace(MAPPED_IPV4, '').split('.').map(Number)
    return numbers.length === 4 && numbers.every((number, at) => tests[at]!(number))
  }
}

function splitParts(text: string): string[] {
  return text.match(/\{[^}]*\}|[^.]+/g) ?? []
}

function parsePart(part: string): ((number: number) => boolean) | undefined {
  if (part === '*') return () => true
  const range = /^(\d{1,3})-(\d{1,3})$/.exec(part)
  if (range) return number => number >= Number(range[1]) && number <= Number(range[2])
  const list = /^\{(\d{1,3}(?:,\d{1,3})*)\}$/.exec(part)
  if (list) {
    const numbers = list[1].split(',').map(Number)
    return number => numbers.includes(number)
  }
  if (!/^\d{1,3}$/.test(part)) return undefined
  return number => number === Number(part)
}
