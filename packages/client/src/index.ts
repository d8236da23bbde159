export type { Admin } from './admin/admin.js'
export type { GroupDescription, GroupMember, GroupOptions, GroupQueue, ResetPosition } from './admin/groups.js'
export type { QueryOptions } from './admin/messages.js'
export type { BrokerMetadata, ClusterMetadata, ImportedMetadata } from './admin/metadata.js'
export type { QueueDescription, TopicOptions } from './admin/topics.js'
export { Client, type ClientOptions } from './client.js'
export type { BatchHandler, Consumer, ConsumerOptions, MessageHandler } from './consumer/consumer.js'
export type { Delivery } from './consumer/delivery.js'
export { memoryOffsetStore, type OffsetStore } from './consumer/offset-store.js'
export type { PopConsumer, PopConsumerOptions, PopOptions, PoppedMessage } from './consumer/pop-consumer.js'
export type { PullResult, PullStatus } from './consumer/pull.js'
export type { PullConsumer, PullConsumerOptions, PullOptions } from './consumer/pull-consumer.js'
export type { QueueOffsets, StartPosition } from './consumer/queue-offsets.js'
export type { ReceivedMessage } from './consumer/received-message.js'
export { RequestError } from './errors.js'
export type {
  AssignedPullOptions,
  AssignmentListener,
  Assignments,
  AssignmentsOptions,
} from './membership/assignments.js'
export type { TopicFilter, Topics } from './membership/subscription.js'
export type { Message, Repeat } from './producer/message.js'
export type { Producer, ProducerOptions, SendOptions, TransactionOptions } from './producer/producer.js'
export type { SendResult, SendStatus } from './producer/send-result.js'
export type { TransactionCheck, TransactionDecision, TransactionResult } from './producer/transaction.js'
export type { TopicRoute } from './route/topic-route.js'
