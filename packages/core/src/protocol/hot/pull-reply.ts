import { languageCode } from '../remoting/language.js'
import { BROKER_VERSION, CommandFlag, OUR_LANGUAGE } from '../remoting/limits.js'
import { copyBytes, decimalLength, writeDecimal, writeInt16, writeInt32 } from './bytes.js'

/** Header of a pull answer. Reused for every answer. */
export interface PullReply {
  isBinary: boolean
  opaque: number
  code: number
  /** Printable ASCII without quotes and backslashes, such as FOUND; '' leaves it out. */
  remark: string
  suggestWhichBrokerId: number
  nextBeginOffset: number
  minOffset: number
  maxOffset: number
  topicSysFlag: number
  groupSysFlag: number
  /** Bytes of records that the caller puts after the header. */
  bodyLength: number
}

/** Names of the six ext fields in the order in which both writers put them. */
const NAMES = ['suggestWhichBrokerId', 'nextBeginOffset', 'minOffset', 'maxOffset', 'topicSysFlag', 'groupSysFlag']

const JSON_HEAD = Buffer.from(
  `{"flag":${CommandFlag.RESPONSE},"language":"${OUR_LANGUAGE}","serializeTypeCurrentRPC":"JSON","version":${BROKER_VERSION},"code":`,
)
const JSON_OPAQUE = Buffer.from(',"opaque":')
const JSON_REMARK = Buffer.from(',"remark":"')
const JSON_FIELDS = NAMES.map((name, i) => Buffer.from(i === 0 ? `,"extFields":{"${name}":"` : `","${name}":"`))
const JSON_END = Buffer.from('"}}')
const BINARY_FIELDS = NAMES.map(name => Buffer.from(`\0${String.fromCharCode(name.length)}${name}`, 'latin1'))
const BINARY_WORD = 0x1000000

/** Upper bound of what `writePullReplyHeader` writes. */
export const PULL_REPLY_HEADER_BYTES_MAX = 512

/**
 * Writes length word, header word and header of a pull answer; the body goes right after it. The remark has at most
 * 128 characters. Returns the end of the header.
 */
export function writePullReplyHeader(target: Buffer, at: number, reply: PullReply): number {
  const headerStart = at + 8
  const end = reply.isBinary ? writeBinary(target, headerStart, reply) : writeJson(target, headerStart, reply)
  writeInt32(target, at, end - at - 4 + reply.bodyLength)
  writeInt32(target, at + 4, (reply.isBinary ? BINARY_WORD : 0) + end - headerStart)
  return end
}

function writeJson(target: Buffer, at: number, reply: PullReply): number {
  let to = copyBytes(JSON_HEAD, 0, JSON_HEAD.length, target, at)
  to = writeDecimal(target, to, reply.code)
  to = copyBytes(JSON_OPAQUE, 0, JSON_OPAQUE.length, target, to)
  to = writeDecimal(target, to, reply.opaque)
  if (reply.remark !== '') {
    to = copyBytes(JSON_REMARK, 0, JSON_REMARK.length, target, to)
    to = writeAscii(target, to, reply.remark)
    target[to++] = 0x22
  }
  to = writeJsonField(target, to, JSON_FIELDS[0], reply.suggestWhichBrokerId)
  to = writeJsonField(target, to, JSON_FIELDS[1], reply.nextBeginOffset)
  to = writeJsonField(target, to, JSON_FIELDS[2], reply.minOffset)
  to = writeJsonField(target, to, JSON_FIELDS[3], reply.maxOffset)
  to = writeJsonField(target, to, JSON_FIELDS[4], reply.topicSysFlag)
  to = writeJsonField(target, to, JSON_FIELDS[5], reply.groupSysFlag)
  return copyBytes(JSON_END, 0, JSON_END.length, target, to)
}

function writeJsonField(target: Buffer, at: number, name: Uint8Array, value: number): number {
  return writeDecimal(target, copyBytes(name, 0, name.length, target, at), value)
}

function writeBinary(target: Buffer, at: number, reply: PullReply): number {
  writeInt16(target, at, reply.code)
  target[at + 2] = languageCode(OUR_LANGUAGE)
  writeInt16(target, at + 3, BROKER_VERSION)
  writeInt32(target, at + 5, reply.opaque)
  writeInt32(target, at + 9, CommandFlag.RESPONSE)
  writeInt32(target, at + 13, reply.remark.length)
  const extStart = writeAscii(target, at + 17, reply.remark) + 4
  let to = writeBinaryField(target, extStart, BINARY_FIELDS[0], reply.suggestWhichBrokerId)
  to = writeBinaryField(target, to, BINARY_FIELDS[1], reply.nextBeginOffset)
  to = writeBinaryField(target, to, BINARY_FIELDS[2], reply.minOffset)
  to = writeBinaryField(target, to, BINARY_FIELDS[3], reply.maxOffset)
  to = writeBinaryField(target, to, BINARY_FIELDS[4], reply.topicSysFlag)
  to = writeBinaryField(target, to, BINARY_FIELDS[5], reply.groupSysFlag)
  writeInt32(target, extStart - 4, to - extStart)
  return to
}

function writeBinaryField(target: Buffer, at: number, name: Uint8Array, value: number): number {
  let to = copyBytes(name, 0, name.length, target, at)
  to = writeInt32(target, to, decimalLength(value))
  return writeDecimal(target, to, value)
}

function writeAscii(target: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i)
  return at + text.length
}
