export { assert, assertNever } from './assert.js'
export { type ErrorCode, MillraceError } from './errors.js'
export { type MemoryNetOptions, memoryNet } from './net/memory-net.js'
export type { Clock } from './ports/clock.js'
export type { Disk, FileDescriptor } from './ports/disk.js'
export type { Environment } from './ports/environment.js'
export type { Net, NetAddress, NetConnection, NetEvents, NetListener } from './ports/net.js'
export type { Random } from './ports/random.js'
export type { Cancel, Scheduler } from './ports/scheduler.js'
export type { RemotingCommand, Serialization } from './protocol/remoting/command.js'
export {
  decodeFrame,
  encodeRequest,
  encodeResponse,
  type FrameResult,
  type RequestToEncode,
  type ResponseToEncode,
} from './protocol/remoting/frame.js'
export { type FrameFailure, FrameReader } from './protocol/remoting/frame-reader.js'
export { languageCode, languageName } from './protocol/remoting/language.js'
export { BROKER_VERSION, CommandFlag, FRAME_BYTES_MAX } from './protocol/remoting/limits.js'
export { RequestCode } from './protocol/remoting/request-code.js'
export { ResponseCode } from './protocol/remoting/response-code.js'
