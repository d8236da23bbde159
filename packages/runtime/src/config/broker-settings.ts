import { DEFAULT_DELAY_LEVELS } from '@millrace/core'
import { metricsSettings } from './metrics-settings.js'
import { bytes, choice, flag, integer, milliseconds, pattern, text, type Values } from './setting.js'
import { listenerSettings, NAMESERVER_LIST } from './shared-settings.js'

const KIB = 2 ** 10
const MIB = 2 ** 20
const GIB = 2 ** 30
const PERCENT = { min: 1, max: 100 }

/**
 * Broker properties under RocketMQ's own names (BrokerConfig, MessageStoreConfig, NettyServerConfig of 5.x), with its
 * defaults except where the text says otherwise. Names RocketMQ does not have are ours: bindAddress, insecure,
 * ringBytes, logBytesMax, diskFreeBytesEnough, frameBytesMax, connectionsMax.
 */
export const brokerSettings = {
  ...listenerSettings,
  ...metricsSettings,
  brokerName: pattern(
    'broker-a',
    /^[%|a-zA-Z0-9_-]{1,127}$/,
    'a name of letters, digits, - and _',
    'Name of the broker; messages and queues refer to it.',
  ),
  brokerClusterName: pattern(
    'DefaultCluster',
    /^[%|a-zA-Z0-9_-]{1,127}$/,
    'a name of letters, digits, - and _',
    'Cluster the broker belongs to.',
  ),
  brokerId: integer(0, { min: 0, max: 0 }, 'Always 0, the master: replicas are not supported yet.'),
  brokerRole: choice(['ASYNC_MASTER'], 'ASYNC_MASTER', 'Always ASYNC_MASTER: replicas are not supported yet.'),
  namesrvAddr: pattern(
    '',
    NAMESERVER_LIST,
    'HOST:PORT, several joined by ;',
    'Nameservers to register with; empty means the one in this process.',
    { environmentAliases: ['NAMESRV_ADDR'] },
  ),
  brokerIP1: text(
    '',
    'Host to advertise in routes; empty means the address that the client used to reach us (RocketMQ: first non-loopback address).',
  ),
  listenPort: integer(10911, { min: 0, max: 65535 }, 'Port for clients; 0 picks a free one.'),
  brokerPermission: integer(6, { min: 0, max: 7 }, 'Permission of the whole broker: 4 read, 2 write, 6 both.'),
  regionId: text('DefaultRegion', 'Region written into messages, for traces.'),
  traceOn: flag(true, 'Tells clients that message tracing is welcome.'),
  traceTopicEnable: flag(true, 'Has RMQ_SYS_TRACE_TOPIC for the traces of clients (RocketMQ: false).'),

  autoCreateTopicEnable: flag(true, 'Creates a topic when the first message for it arrives.'),
  defaultTopicQueueNums: integer(8, { min: 1, max: 1024 }, 'Most queues a topic that is created on first use may get.'),
  clusterTopicEnable: flag(true, 'Creates a topic named like the cluster.'),
  brokerTopicEnable: flag(true, 'Creates a topic named like the broker.'),
  autoCreateSubscriptionGroup: flag(true, 'Creates a consumer group when its first consumer arrives.'),
  notifyConsumerIdsChangedEnable: flag(true, 'Tells the members of a group at once when one joins or leaves.'),
  rejectTransactionMessage: flag(false, 'Refuses half messages.'),
  transactionTimeOut: milliseconds(6000, 'How long a producer has to end a transaction before it is asked.'),
  transactionCheckMax: integer(
    15,
    { min: 1, max: 255 },
    'How often a producer is asked before a half message is given up.',
  ),
  transactionCheckInterval: milliseconds(30_000, 'How often producers are asked about undecided half messages.'),
  flushConsumerOffsetInterval: milliseconds(5000, 'How often committed consumer offsets are written to disk.'),
  channelExpiredTimeout: milliseconds(120_000, 'A client without a heartbeat for this long is taken as gone.'),
  enablePropertyFilter: flag(true, 'Lets consumers filter by properties, with SQL92 expressions (RocketMQ: false).'),
  filterSupportRetry: flag(false, 'Applies such a filter again to messages that come back for another try.'),
  useServerSideResetOffset: flag(
    true,
    "An operator's reset of a group is kept by the broker; false: the members are told, as before RocketMQ 5.0.",
  ),
  storeReplyMessageEnable: flag(true, 'Stores replies to requests in CLUSTER_REPLY_TOPIC, beside passing them on.'),
  longPollingEnable: flag(true, 'Parks a pull that finds nothing until a message arrives or its time-out passes.'),
  shortPollingTimeMills: milliseconds(1000, 'How long such a pull waits when longPollingEnable is false.'),
  popFromRetryProbability: integer(20, { min: 0, max: 100 }, 'Percent of pops that look into the retry topic first.'),
  popPollingSize: integer(1024, { min: 0, max: 1_000_000 }, 'Most pops that wait for one queue of one group.'),
  maxPopPollingSize: integer(100_000, { min: 0, max: 10_000_000 }, 'Most pops that wait in the whole broker.'),
  enableRetryTopicV2: flag(false, 'Names retry topics of pops %RETRY%group+topic instead of %RETRY%group_topic.'),
  retrieveMessageFromPopRetryTopicV1: flag(true, 'With enableRetryTopicV2, reads the older retry topics too.'),
  popResponseReturnActualRetryTopic: flag(false, 'Shows popped messages of retry topics under the name of that topic.'),
  defaultMessageRequestMode: choice(['PULL', 'POP'], 'PULL', 'How groups consume whose queues the broker assigns.'),
  defaultPopShareQueueNum: integer(
    -1,
    { min: -1, max: 1024 },
    'With POP by default, how many other clients share the queues of one; -1 means all.',
  ),
  serverLoadBalancerEnable: flag(
    true,
    'Shares out queues to clients that ask for it; false gives each client all queues.',
  ),
  maxTransferBytesOnMessageInMemory: bytes(256 * KIB, { min: KIB, max: 64 * MIB }, 'Most bytes one pull returns.'),
  maxTransferCountOnMessageInMemory: integer(32, { min: 1, max: 65_536 }, 'Most messages one pull returns.'),
  messageDelayLevel: pattern(
    DEFAULT_DELAY_LEVELS,
    /^\s*[1-9]\d{0,8}[smhd](\s+[1-9]\d{0,8}[smhd]){0,255}\s*$/,
    'delays such as 1s 5s 1m 2h 1d, joined by blanks',
    'Delays of the levels that DELAY counts, level 1 first.',
  ),
  timerWheelEnable: flag(true, 'Takes messages that are due at any time (TIMER_ properties).'),
  timerMaxDelaySec: integer(
    31_536_000,
    { min: 1, max: 3_153_600_000 },
    'How far ahead a message may be due, in seconds: a year (RocketMQ: 259200, three days).',
  ),
  recallMessageEnable: flag(true, 'Lets producers take back timer messages by their recall handle (RocketMQ: false).'),
  registerNameServerPeriod: milliseconds(30_000, 'How often the broker registers with the nameservers.', {
    min: 100,
    max: 3_600_000,
  }),

  storePathCommitLog: text('', 'Directory of the commit log; empty means "commitlog" under storePathRootDir.'),
  mapedFileSizeCommitLog: bytes(GIB, { min: 64 * KIB, max: GIB }, 'Size of one commit-log file.', {
    aliases: ['mappedFileSizeCommitLog'],
  }),
  ringBytes: bytes(
    32 * MIB,
    { min: 64 * KIB, max: GIB },
    'Memory between the network and the disk. Three quarters full, clients are slowed down.',
  ),
  flushDiskType: choice(
    ['SYNC_FLUSH', 'ASYNC_FLUSH'],
    'SYNC_FLUSH',
    'When a send is acknowledged: SYNC_FLUSH after it is on disk (many sends share one flush), ASYNC_FLUSH after the operating system has it (RocketMQ: ASYNC_FLUSH).',
  ),
  flushIntervalCommitLog: milliseconds(500, 'With ASYNC_FLUSH, how often the log is flushed to disk.'),
  maxMessageSize: bytes(4 * MIB, { min: KIB, max: 16 * MIB }, 'Largest message body.'),
  frameBytesMax: bytes(
    16 * MIB,
    { min: 64 * KIB, max: 256 * MIB },
    'Largest request; a longer one closes its connection.',
  ),
  connectionsMax: integer(10_000, { min: 1, max: 1_000_000 }, 'Most connections at a time; more are closed at once.'),
  fileReservedTime: integer(
    72,
    { min: 1, max: 876_000 },
    'Hours that messages are kept at least, disk space permitting.',
  ),
  deleteWhen: pattern(
    '04',
    /^([01]?\d|2[0-3])(;([01]?\d|2[0-3]))*$/,
    'hours of the day from 00 to 23, several joined by ;',
    'Hour of the day when files past fileReservedTime are deleted.',
  ),
  logBytesMax: bytes(
    0,
    { min: 0, max: Number.MAX_SAFE_INTEGER },
    'Deletes the oldest files when the log is larger than this; 0 means no limit.',
  ),
  diskMaxUsedSpaceRatio: integer(
    75,
    PERCENT,
    'Percent of the disk in use from which expired files are deleted at any hour.',
  ),
  diskSpaceCleanForciblyRatio: integer(
    85,
    PERCENT,
    'Percent of the disk in use from which the oldest files are deleted whatever their age.',
  ),
  diskSpaceWarningLevelRatio: integer(90, PERCENT, 'Percent of the disk in use from which sends are refused.'),
  diskFreeBytesEnough: bytes(
    8 * GIB,
    { min: 0, max: Number.MAX_SAFE_INTEGER },
    'With more bytes free than this, diskSpaceCleanForciblyRatio and diskSpaceWarningLevelRatio do not count.',
  ),
  cleanResourceInterval: milliseconds(10_000, 'How often retention looks for files to delete.'),
} as const

export type BrokerConfig = Values<typeof brokerSettings>
