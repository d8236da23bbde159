import { MillraceError } from '../../errors.js'
import type { NetAddress } from '../../ports/net.js'
import { parseIp } from '../message/host.js'
import { languageCode } from '../remoting/language.js'
import { BROKER_VERSION, CommandFlag, OUR_LANGUAGE } from '../remoting/limits.js'
import { copyBytes, decimalLength, writeDecimal, writeHex64, writeInt16, writeInt32, writeJsonText } from './bytes.js'

/** The parts of a send answer that are the same for every message of a broker, already encoded. */
export class SendReplyTemplate {
  /** Upper-case hex of address and port: the first part of every offset message id. */
  readonly idPrefix: Buffer
  readonly json: Buffer
  /** Ext fields MSG_REGION and TRACE_ON. */
  readonly binaryFields: Buffer

  /**
   * @param storeHost the broker's address that clients reach.
   * @throws MillraceError INVALID_ARGUMENT when its host is no IP address.
   */
  constructor(storeHost: NetAddress, options: { readonly region: string; readonly isTraceOn: boolean }) {
    const ip = parseIp(storeHost.host)
    if (ip === undefined)
      throw new MillraceError(
        'INVALID_ARGUMENT',
        `broker host "${storeHost.host}" is not an IP address; resolve the name first`,
      )
    const address = Buffer.alloc(ip.length + 4)
    address.set(ip)
    address.writeInt32BE(storeHost.port, ip.length)
    this.idPrefix = Buffer.from(address.toString('hex').toUpperCase())
    const fields = { MSG_REGION: options.region, TRACE_ON: String(options.isTraceOn) }
    const head = JSON.stringify({
      flag: CommandFlag.RESPONSE,
      language: OUR_LANGUAGE,
      serializeTypeCurrentRPC: 'JSON',
      version: BROKER_VERSION,
      extFields: fields,
    })
    // Open at the end: the fields of the message follow.
    this.json = Buffer.from(`${head.slice(0, -2)},"msgId":"`)
    this.binaryFields = Buffer.concat(Object.entries(fields).map(([name, value]) => encodeField(name, value)))
  }
}

function encodeField(name: string, value: string): Buffer {
  const valueBytes = Buffer.from(value)
  const field = Buffer.alloc(6 + name.length + valueBytes.length)
  field.writeInt16BE(name.length, 0)
  field.write(name, 2, 'latin1')
  field.writeInt32BE(valueBytes.length, 2 + name.length)
  field.set(valueBytes, 6 + name.length)
  return field
}

/** One send answer. Reused for every answer. */
export interface SendReply {
  template: SendReplyTemplate
  isBinary: boolean
  opaque: number
  /** SUCCESS, or the codes of a message that is stored but not yet safe. */
  code: number
  queueId: number
  /** Of the first message. */
  queueOffset: number
  /** Log positions of the messages: one, or those of a batch. */
  positions: Float64Array | readonly number[]
  positionCount: number
  /** Bytes of the UNIQ_KEY property; an empty range leaves the field out. */
  transactionId: Uint8Array
  transactionIdStart: number
  transactionIdEnd: number
  /** Base64 text, of timer messages; empty leaves the field out. */
  recallHandle: Uint8Array
}

const QUEUE_ID = Buffer.from('","queueId":"')
const QUEUE_OFFSET = Buffer.from('","queueOffset":"')
const TRANSACTION_ID = Buffer.from('","transactionId":"')
const RECALL_HANDLE = Buffer.from('","recallHandle":"')
const FIELDS_END = Buffer.from('"},"code":')
const OPAQUE = Buffer.from(',"opaque":')

const MSG_ID_NAME = encodeField('msgId', '').subarray(0, -4)
const QUEUE_ID_NAME = encodeField('queueId', '').subarray(0, -4)
const QUEUE_OFFSET_NAME = encodeField('queueOffset', '').subarray(0, -4)
const TRANSACTION_ID_NAME = encodeField('transactionId', '').subarray(0, -4)
const RECALL_HANDLE_NAME = encodeField('recallHandle', '').subarray(0, -4)

const COMMA = 0x2c
const BINARY_WORD = 0x1000000

/** Upper bound of what `writeSendReply` writes. */
export function sendReplyLengthMax(reply: SendReply): number {
  const { template } = reply
  const ids = reply.positionCount * (template.idPrefix.length + 17)
  const texts = reply.recallHandle.length + 6 * (reply.transactionIdEnd - reply.transactionIdStart)
  return 256 + template.json.length + ids + texts
}

/** Writes the whole frame of a send answer, length word included; returns its end. */
export function writeSendReply(target: Buffer, at: number, reply: SendReply): number {
  const headerStart = at + 8
  const end = reply.isBinary ? writeBinary(target, headerStart, reply) : writeJson(target, headerStart, reply)
  writeInt32(target, at, end - at - 4)
  writeInt32(target, at + 4, (reply.isBinary ? BINARY_WORD : 0) + end - headerStart)
  return end
}

function writeJson(target: Buffer, at: number, reply: SendReply): number {
  const json = reply.template.json
  let to = copyBytes(json, 0, json.length, target, at)
  to = writeIds(target, to, reply)
  to = copyBytes(QUEUE_ID, 0, QUEUE_ID.length, target, to)
  to = writeDecimal(target, to, reply.queueId)
  to = copyBytes(QUEUE_OFFSET, 0, QUEUE_OFFSET.length, target, to)
  to = writeDecimal(target, to, reply.queueOffset)
  if (reply.transactionIdEnd > reply.transactionIdStart) {
    to = copyBytes(TRANSACTION_ID, 0, TRANSACTION_ID.length, target, to)
    to = writeJsonText(reply.transactionId, reply.transactionIdStart, reply.transactionIdEnd, target, to)
  }
  if (reply.recallHandle.length > 0) {
    to = copyBytes(RECALL_HANDLE, 0, RECALL_HANDLE.length, target, to)
    to = copyBytes(reply.recallHandle, 0, reply.recallHandle.length, target, to)
  }
  to = copyBytes(FIELDS_END, 0, FIELDS_END.length, target, to)
  to = writeDecimal(target, to, reply.code)
  to = copyBytes(OPAQUE, 0, OPAQUE.length, target, to)
  to = writeDecimal(target, to, reply.opaque)
  target[to] = 0x7d
  return to + 1
}

function writeBinary(target: Buffer, at: number, reply: SendReply): number {
  const extStart = at + 21
  writeInt16(target, at, reply.code)
  target[at + 2] = languageCode(OUR_LANGUAGE)
  writeInt16(target, at + 3, BROKER_VERSION)
  writeInt32(target, at + 5, reply.opaque)
  writeInt32(target, at + 9, CommandFlag.RESPONSE)
  writeInt32(target, at + 13, 0)
  const fixed = reply.template.binaryFields
  let to = copyBytes(fixed, 0, fixed.length, target, extStart)
  to = copyBytes(MSG_ID_NAME, 0, MSG_ID_NAME.length, target, to)
  const idsStart = to + 4
  to = writeIds(target, idsStart, reply)
  writeInt32(target, idsStart - 4, to - idsStart)
  to = writeNumberField(target, to, QUEUE_ID_NAME, reply.queueId)
  to = writeNumberField(target, to, QUEUE_OFFSET_NAME, reply.queueOffset)
  if (reply.transactionIdEnd > reply.transactionIdStart) {
    to = copyBytes(TRANSACTION_ID_NAME, 0, TRANSACTION_ID_NAME.length, target, to)
    to = writeInt32(target, to, reply.transactionIdEnd - reply.transactionIdStart)
    to = copyBytes(reply.transactionId, reply.transactionIdStart, reply.transactionIdEnd, target, to)
  }
  if (reply.recallHandle.length > 0) {
    to = copyBytes(RECALL_HANDLE_NAME, 0, RECALL_HANDLE_NAME.length, target, to)
    to = writeInt32(target, to, reply.recallHandle.length)
    to = copyBytes(reply.recallHandle, 0, reply.recallHandle.length, target, to)
  }
  writeInt32(target, at + 17, to - extStart)
  return to
}

function writeNumberField(target: Buffer, at: number, name: Uint8Array, value: number): number {
  let to = copyBytes(name, 0, name.length, target, at)
  to = writeInt32(target, to, decimalLength(value))
  return writeDecimal(target, to, value)
}

/** Offset message ids, joined by commas. */
function writeIds(target: Buffer, at: number, reply: SendReply): number {
  const prefix = reply.template.idPrefix
  let to = at
  for (let i = 0; i < reply.positionCount; i++) {
    if (i > 0) target[to++] = COMMA
    to = copyBytes(prefix, 0, prefix.length, target, to)
    to = writeHex64(target, to, reply.positions[i])
  }
  return to
}
