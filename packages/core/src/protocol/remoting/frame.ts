import { MillraceError } from '../../errors.js'
import { decodeBinaryHeader, encodeBinaryHeader, type Header } from './binary-header.js'
import type { RemotingCommand, Serialization } from './command.js'
import { decodeJsonHeader, encodeJsonHeader } from './json-header.js'
import { BROKER_VERSION, CommandFlag, FRAME_BYTES_MAX, HEADER_BYTES_MAX, OUR_LANGUAGE } from './limits.js'

export type FrameResult =
  | { readonly ok: true; readonly command: RemotingCommand }
  | { readonly ok: false; readonly reason: string }

const SERIALIZATIONS: readonly Serialization[] = ['JSON', 'ROCKETMQ']
const NO_FIELDS: Readonly<Record<string, string>> = Object.freeze(Object.create(null))

/**
 * Decodes one frame: [start, end) is what follows the 4-byte length word, so it begins with the header word.
 * Never throws. The command's body is a view of `buffer`. remoting.md §1–3
 */
export function decodeFrame(buffer: Buffer, start: number, end: number): FrameResult {
  if (end - start < 4) return { ok: false, reason: `frame of ${end - start} bytes has no header word` }
  const word = buffer.readUInt32BE(start)
  const headerStart = start + 4
  const bodyStart = headerStart + (word & HEADER_BYTES_MAX)
  if (bodyStart > end)
    return { ok: false, reason: `header of ${bodyStart - headerStart} bytes is longer than its frame` }
  const serialization = SERIALIZATIONS[word >>> 24]
  if (serialization === undefined) return { ok: false, reason: `unknown header serialization ${word >>> 24}` }
  const decoded =
    serialization === 'JSON'
      ? decodeJsonHeader(buffer, headerStart, bodyStart)
      : decodeBinaryHeader(buffer, headerStart, bodyStart)
  if (!decoded.ok) return decoded
  const { code, language, version, opaque, flag, remark, extFields } = decoded.header
  const body = bodyStart < end ? buffer.subarray(bodyStart, end) : undefined
  return { ok: true, command: { code, language, version, opaque, flag, remark, extFields, body, serialization } }
}

/** A request of ours. What is left out: our language and version, flag 0, JSON, no fields, no body. */
export interface RequestToEncode {
  readonly code: number
  readonly opaque: number
  /** Adds the one-way bit: the peer does not answer. */
  readonly isOneway?: boolean
  readonly extFields?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
  readonly language?: string
  readonly version?: number
  readonly serialization?: Serialization
}

/** What answers a request. */
export interface ResponseToEncode {
  readonly code: number
  readonly remark?: string | undefined
  readonly extFields?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
}

/**
 * Whole frame of a request, length word included.
 * @throws MillraceError INVALID_ARGUMENT when it is over the frame or header limit.
 */
export function encodeRequest(request: RequestToEncode): Buffer {
  const header: Header = {
    code: request.code,
    language: request.language ?? OUR_LANGUAGE,
    version: request.version ?? BROKER_VERSION,
    opaque: request.opaque,
    flag: request.isOneway ? CommandFlag.ONEWAY : 0,
    remark: undefined,
    extFields: request.extFields ?? NO_FIELDS,
  }
  return encodeFrame(header, request.serialization ?? 'JSON', request.body)
}

/**
 * Whole frame of the answer to `request`: its opaque, its serialization.
 * @throws MillraceError INVALID_ARGUMENT when it is over the frame or header limit.
 */
export function encodeResponse(
  request: Pick<RemotingCommand, 'opaque' | 'serialization'>,
  response: ResponseToEncode,
): Buffer {
  const header: Header = {
    code: response.code,
    language: OUR_LANGUAGE,
    version: BROKER_VERSION,
    opaque: request.opaque,
    flag: CommandFlag.RESPONSE,
    remark: response.remark,
    extFields: response.extFields ?? NO_FIELDS,
  }
  return encodeFrame(header, request.serialization, response.body)
}

function encodeFrame(header: Header, serialization: Serialization, body: Uint8Array | undefined): Buffer {
  const head = serialization === 'JSON' ? encodeJsonHeader(header) : encodeBinaryHeader(header)
  const length = 4 + head.length + (body?.length ?? 0)
  if (head.length > HEADER_BYTES_MAX || length > FRAME_BYTES_MAX)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `frame of ${length} bytes (header ${head.length}) for code ${header.code} is over the limit of ${FRAME_BYTES_MAX}; send less at once`,
    )
  const frame = Buffer.allocUnsafe(4 + length)
  frame.writeUInt32BE(length, 0)
  frame.writeUInt32BE((serialization === 'JSON' ? 0 : 0x1000000) + head.length, 4)
  frame.set(head, 8)
  if (body !== undefined) frame.set(body, 8 + head.length)
  return frame
}
