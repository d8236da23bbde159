/** Every bound and pace of the client, with its unit. Values are those of RocketMQ's own clients unless said otherwise. */

/** How long a call waits for its answer. */
export const REQUEST_TIMEOUT_MS = 3_000
/** How long a TCP connect may take. */
export const CONNECT_TIMEOUT_MS = 3_000
/** How often the routes of topics in use are read again. */
export const ROUTE_REFRESH_MS = 30_000
/** How often brokers hear of this client; they forget it after 120 s. */
export const HEARTBEAT_INTERVAL_MS = 30_000
/** How often a group member computes its queues again without being asked to. */
export const REBALANCE_INTERVAL_MS = 20_000
/** How often consumed offsets are stored. */
export const COMMIT_INTERVAL_MS = 5_000
/** How often an ordered consumer renews the locks of its queues; brokers drop them after 60 s. */
export const LOCK_INTERVAL_MS = 20_000
/** How long the broker may hold a pull that finds nothing. */
export const PULL_SUSPEND_MS = 15_000
/** Added to the suspension: how long the client waits for the answer of a held pull. */
export const PULL_GRACE_MS = 15_000
/** Pause of one queue after its pull failed. */
export const PULL_RETRY_PAUSE_MS = 1_000
/** Messages of one pull. Brokers give at most 32 by default. */
export const PULL_MESSAGES_MAX = 32
/** How long popped messages stay invisible to the rest of their group. */
export const POP_INVISIBLE_MS = 60_000
/** How long a pop waits for one broker when a topic has several. Ours: official clients pop from each on its own. */
export const POP_SHARED_POLL_MS = 1_000
/** Messages of one queue fetched ahead of the handler; past it the queue is not pulled. */
export const PREFETCH_MESSAGES = 256
/** Body bytes of one queue fetched ahead of the handler; past it the queue is not pulled. */
export const PREFETCH_BYTES = 4 << 20
/** Handlers of one consumer that run at a time. */
export const CONSUMER_CONCURRENCY = 20
/** Deliveries of a message before the broker moves it to the dead-letter topic. */
export const RECONSUME_TIMES_MAX = 16
/** Pause before a message that could not be handed back, or an ordered one that failed, is tried again. */
export const LOCAL_RETRY_PAUSE_MS = 1_000
/** Body of one message, and of one batch: the broker's default `maxMessageSize`. */
export const MESSAGE_BYTES_MAX = 4 << 20
/** Bodies above it are compressed. */
export const COMPRESS_OVER_BYTES = 4_096
/** Other brokers tried after the first attempt to send failed. */
export const SEND_RETRIES = 2
/** Queues of a topic that a send creates. */
export const AUTO_CREATE_QUEUES = 4
/** Bytes waiting in one connection; past it one-way sends wait for the peer. */
export const CONNECTION_BUFFERED_BYTES_MAX = 8 << 20
