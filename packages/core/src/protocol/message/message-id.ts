import { MillraceError } from '../../errors.js'
import type { Clock } from '../../ports/clock.js'
import type { NetAddress } from '../../ports/net.js'
import type { Random } from '../../ports/random.js'
import { formatIp, parseIp } from './host.js'

const WORD = 0x1_0000_0000

/**
 * Id of a message by where it is stored: broker IP, port and log position in upper-case hex, 32 or 56 characters.
 * @throws MillraceError INVALID_ARGUMENT when the host is no IP address. messages.md §3
 */
export function offsetMessageId(storeHost: NetAddress, commitLogOffset: number): string {
  return (
    hex(ipOf(storeHost.host)) +
    hexNumber(storeHost.port, 8) +
    hexNumber(Math.floor(commitLogOffset / WORD), 8) +
    hexNumber(commitLogOffset % WORD, 8)
  )
}

/** Reads an offset message id; undefined when it is none, or when its position is beyond 2^53. */
export function parseOffsetMessageId(
  id: string,
): { readonly storeHost: NetAddress; readonly commitLogOffset: number } | undefined {
  if ((id.length !== 32 && id.length !== 56) || !/^[0-9a-fA-F]+$/.test(id)) return undefined
  const bytes = Buffer.from(id, 'hex')
  const ipBytes = bytes.length - 12
  const port = bytes.readInt32BE(ipBytes)
  const commitLogOffset = bytes.readInt32BE(ipBytes + 4) * WORD + bytes.readUInt32BE(ipBytes + 8)
  if (port < 0 || port > 65_535 || commitLogOffset < 0 || !Number.isSafeInteger(commitLogOffset)) return undefined
  return { storeHost: { host: formatIp(bytes.subarray(0, ipBytes)), port }, commitLogOffset }
}

/**
 * Makes unique message ids (property UNIQ_KEY): IP, process id, a random mark, milliseconds since the month began in
 * local time, counter; upper-case hex. At most 65 536 ids a millisecond are distinct. messages.md §3
 */
export class UniqueIds {
  private readonly prefix: string
  private counter = 0
  private monthStart = 0
  private monthEnd = 0

  /** @throws MillraceError INVALID_ARGUMENT when `host` is no IP address. */
  constructor(
    private readonly clock: Clock,
    random: Random,
    origin: { readonly host: string; readonly processId: number },
  ) {
    this.prefix = hex(ipOf(origin.host)) + hexNumber(origin.processId & 0xffff, 4) + hexNumber(random.int(WORD), 8)
  }

  next(): string {
    const now = this.clock.now()
    if (now < this.monthStart || now >= this.monthEnd) this.enterMonth(now)
    const counter = this.counter
    this.counter = (counter + 1) & 0xffff
    return this.prefix + hexNumber(now - this.monthStart, 8) + hexNumber(counter, 4)
  }

  private enterMonth(now: number): void {
    const date = new Date(now)
    this.monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime()
    this.monthEnd = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime()
  }
}

/** Parts of a unique id; undefined when it is none. */
export function parseUniqueId(id: string):
  | {
      readonly host: string
      readonly processId: number
      readonly millisSinceMonthStart: number
      readonly counter: number
    }
  | undefined {
  if ((id.length !== 32 && id.length !== 56) || !/^[0-9a-fA-F]+$/.test(id)) return undefined
  const bytes = Buffer.from(id, 'hex')
  const ipBytes = bytes.length - 12
  return {
    host: formatIp(bytes.subarray(0, ipBytes)),
    processId: bytes.readUInt16BE(ipBytes),
    millisSinceMonthStart: bytes.readUInt32BE(ipBytes + 6),
    counter: bytes.readUInt16BE(ipBytes + 10),
  }
}

function ipOf(host: string): Uint8Array {
  const ip = parseIp(host)
  if (ip === undefined)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `"${host}" is not an IP address; message ids need one: resolve the name first`,
    )
  return ip
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase()
}

function hexNumber(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}
