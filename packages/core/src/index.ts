export { receive, receiveBatch, setup } from './actor/behavior.js'
export { DEFAULT_SUPERVISION } from './actor/supervision.js'
export { createActorSystem } from './actor/system.js'
export type {
  ActorContext,
  ActorFailure,
  ActorInspection,
  ActorRef,
  ActorSystem,
  Behavior,
  DeadLetter,
  MailboxOptions,
  ReplyTo,
  RestartSupervision,
  SpawnOptions,
  Supervision,
  VirtualActors,
} from './actor/types.js'
export { assert, assertNever } from './assert.js'
export { type ErrorCode, MillraceError } from './errors.js'
export { type MemoryNetOptions, memoryNet } from './net/memory-net.js'
export type { Clock } from './ports/clock.js'
export type { Disk, FileDescriptor } from './ports/disk.js'
export type { Environment } from './ports/environment.js'
export type {
  Net,
  NetAddress,
  NetConnection,
  NetEvents,
  NetListener,
  TlsClient,
  TlsServer,
  TlsServerIdentity,
} from './ports/net.js'
export type { Random } from './ports/random.js'
export type { Cancel, Scheduler } from './ports/scheduler.js'
export { type Credentials, isSignedBy, sign, signedBytes, signedFields } from './protocol/acl/signature.js'
export { type AclInfo, decodeAcl, decodeUser, type UserInfo } from './protocol/body/auth.js'
export type { Decoded } from './protocol/body/fields.js'
export {
  type ConsumerData,
  decodeHeartbeat,
  encodeHeartbeat,
  type HeartbeatData,
  readSubscription,
  type SubscriptionData,
} from './protocol/body/heartbeat.js'
export {
  decodeConsumerIds,
  decodeLockBatch,
  decodeLockedQueues,
  decodeQueueOffsets,
  encodeConsumerIds,
  encodeLockBatch,
  encodeLockedQueues,
  encodeQueueOffsets,
  type LockBatchRequest,
  readMessageQueue,
} from './protocol/body/queues.js'
export {
  type BrokerData,
  type ClusterInfo,
  decodeClusterInfo,
  decodeTopicRoute,
  encodeClusterInfo,
  encodeTopicRoute,
  type QueueData,
  type TopicRouteData,
} from './protocol/body/route.js'
export {
  type DataVersion,
  decodeRegisterBroker,
  decodeTopicConfig,
  decodeTopicConfigList,
  decodeTopicConfigTable,
  encodeRegisterBroker,
  encodeTopicConfig,
  encodeTopicConfigTable,
  type RegisterBrokerBody,
  type TopicConfig,
  type TopicConfigTable,
} from './protocol/body/topic-config.js'
export { RecordProperties } from './protocol/filter/record-properties.js'
export { parseSql92, type Sql92Filter, type Sql92Result } from './protocol/filter/sql92.js'
export type { PropertyLookup } from './protocol/filter/sql92-node.js'
export { copyBytes, equalsBytes, parseInteger } from './protocol/hot/bytes.js'
export { peekCode } from './protocol/hot/header-scan.js'
export { PropertyScan, scanProperties, TIMER_KIND } from './protocol/hot/property-scan.js'
export { PULL_REPLY_HEADER_BYTES_MAX, type PullReply, writePullReplyHeader } from './protocol/hot/pull-reply.js'
export { PullScan, scanPull } from './protocol/hot/pull-scan.js'
export { type SendReply, SendReplyTemplate, sendReplyLengthMax, writeSendReply } from './protocol/hot/send-reply.js'
export { SendScan, scanSend } from './protocol/hot/send-scan.js'
export { unescapeInto } from './protocol/hot/unescape.js'
export {
  formatJson,
  formatJsonBody,
  type JsonInput,
  type JsonResult,
  type LenientJson,
  parseLenientJson,
} from './protocol/json/lenient-json.js'
export { type BatchMessage, type BatchResult, decodeBatch, encodeBatch } from './protocol/message/batch.js'
export { bodyCrc } from './protocol/message/body-crc.js'
export {
  type BodyCodec,
  type BodyResult,
  type Compression,
  compressionFlags,
  compressionOf,
  decompressBody,
  INFLATED_BYTES_MAX,
  loadBodyCodec,
} from './protocol/message/compression.js'
export { DEFAULT_DELAY_LEVELS, delayLevelMs, parseDelayLevels } from './protocol/message/delay-level.js'
export { formatAddress, formatIp, parseAddress, parseIp } from './protocol/message/host.js'
export { offsetMessageId, parseOffsetMessageId, parseUniqueId, UniqueIds } from './protocol/message/message-id.js'
export { formatPermission, isInherited, isReadable, isWriteable, Permission } from './protocol/message/permission.js'
export { formatProperties, PROPERTIES_BYTES_MAX, parseProperties } from './protocol/message/properties.js'
export { PropertyName } from './protocol/message/property-name.js'
export {
  allocateQueues,
  compareQueues,
  type MessageQueue,
  REBALANCE_STRATEGIES,
  type RebalanceStrategy,
} from './protocol/message/rebalance.js'
export {
  decodeMessage,
  decodeMessages,
  encodeMessage,
  MAGIC_BLANK,
  MAGIC_V1,
  MAGIC_V2,
  type MessageResult,
  type MessagesResult,
  type MessageToEncode,
  RECORD_FIXED_BYTES,
  type StoredMessage,
} from './protocol/message/record.js'
export { PullSysFlag, SysFlag } from './protocol/message/sys-flag.js'
export { parseTagExpression, type TagExpression, tagHash } from './protocol/message/tag.js'
export {
  DLQ_TOPIC_PREFIX,
  dlqTopic,
  GROUP_LENGTH_MAX,
  isRetryTopic,
  isSendForbidden,
  isSystemGroup,
  isSystemTopic,
  type NameCheck,
  popRetryTopic,
  RETRY_TOPIC_PREFIX,
  retryTopic,
  SYSTEM_GROUPS,
  SystemTopic,
  TOPIC_LENGTH_MAX,
  validateGroup,
  validateTopic,
} from './protocol/message/topic.js'
export { type BatchAck, type BatchAckBody, decodeBatchAck, encodeBatchAck } from './protocol/pop/batch-ack.js'
export { type ExtraInfo, formatExtraInfo, ORDERED_REVIVE_QUEUE, parseExtraInfo } from './protocol/pop/extra-info.js'
export { formatOffsetInfo, type OffsetInfo, parseOffsetInfo } from './protocol/pop/offset-info.js'
export { formatRecallHandle, parseRecallHandle, type RecallHandle } from './protocol/pop/recall-handle.js'
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
export {
  formatTraceRecord,
  parseTraceRecords,
  type TraceRecord,
  type TraceType,
} from './protocol/trace/trace-record.js'
export {
  type Aggregate,
  type AggregateResult,
  type AggregateSpec,
  type Aggregator,
  aggregator,
  count,
  distinctCount,
  max,
  mean,
  min,
  type ResultOf,
  sum,
  toArray,
  top,
} from './stream/aggregator.js'
export { type Pipeline, type PipelineDefaults, pipeline, type Source, type SourceOptions } from './stream/builder.js'
export type { OperatorDescription, PipelineDescription } from './stream/describe.js'
export { type Duration, durationMs, formatDuration } from './stream/duration.js'
export type { Emit } from './stream/emit.js'
export type { DeadLetterRecord, ErrorPolicy } from './stream/error-policy.js'
export { type StreamGraph, type StreamNode, topicsOf } from './stream/graph.js'
export { KEY_BYTES_MAX, type Key, queueOfKey } from './stream/key.js'
export type { AsyncOptions } from './stream/operators/async-map.js'
export type { QueryableStore } from './stream/operators/operator.js'
export type { ProcessContext, ProcessFunction } from './stream/operators/process.js'
export { type Plan, planPipeline, queuesOfInput, type Stage } from './stream/plan.js'
export { type InputRecord, type OutputRecord, StreamProperty } from './stream/record.js'
export type { StandardSchema } from './stream/schema.js'
export { bytes, json, msgpack, type Serde, text } from './stream/serde.js'
export { MemoryState, type StateBackend, type StateChange, type StateEntry } from './stream/stores/state.js'
export type {
  AggregatedStream,
  JoinWindow,
  KeyedStream,
  OperatorOptions,
  Sink,
  Stream,
  WindowAggregateOptions,
  WindowedStream,
} from './stream/stream.js'
export type { GlobalTable, GroupedTable, KeyValue, Table } from './stream/table.js'
export type { TaskInput } from './stream/task-input.js'
export {
  type Cut,
  type Guarantee,
  type Outgoing,
  type TaskCounters,
  type TaskOptions,
  TaskProgram,
  taskName,
} from './stream/task-program.js'
export { type KeyedTopic, type Topic, type TopicOptions, topic } from './stream/topic.js'
export {
  countWindow,
  hopping,
  session,
  sliding,
  tumbling,
  type Window,
  type Windowed,
  type WindowSpec,
} from './stream/window.js'
