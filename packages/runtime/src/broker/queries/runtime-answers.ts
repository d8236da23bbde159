import { BROKER_VERSION, type Environment, type JsonInput, RequestCode, SystemTopic } from '@millrace/core'
import type { MessageStore, MetadataTable } from '@millrace/storage'
import type { BrokerConfig } from '../../config/index.js'
import { type Answer, jsonReply } from '../../requests/answer.js'
import { BROKER, type BrokerCounters } from '../counters.js'
import type { DayTotals } from '../stats/sampler.js'
import { recordTime } from './stored-time.js'

export interface RuntimeOptions {
  readonly config: BrokerConfig
  readonly environment: Pick<Environment, 'clock' | 'disk'>
  readonly store: Pick<MessageStore, 'logBegin' | 'logEnd' | 'maxOffset' | 'record'>
  /** Next offset to deliver, by delay level. */
  readonly delayOffsets: MetadataTable<number>
  readonly levelCount: number
  readonly counters: BrokerCounters
  readonly totals: DayTotals
}

/** What readers insist on, of things this broker has not: thread pools with queues, a timer wheel, page cache locks. */
const WITHOUT_MEANING: Readonly<Record<string, string>> = {
  EndTransactionQueueSize: '0',
  EndTransactionThreadPoolQueueCapacity: '100000',
  dispatchBehindBytes: '0',
  dispatchMaxBuffer: '0',
  pageCacheLockTimeMills: '0',
  putMessageDistributeTime: 'null',
  putMessageEntireTimeMax: '0',
  getMessageEntireTimeMax: '0',
  putLatency99: '0.00',
  putLatency999: '0.00',
  remainHowManyDataToFlush: '0 B',
  remainTransientStoreBufferNumbs: '2147483647',
  startAcceptSendRequestTimeStamp: '0',
  timerCongestNum: '0',
  timerDequeueTps: '0.0',
  timerEnqueueTps: '0.0',
  timerOffsetBehind: '0',
  timerReadBehind: '0',
  ...poolOf('ack', 100_000),
  ...poolOf('litePull', 100_000),
  ...poolOf('pull', 100_000),
  ...poolOf('query', 20_000),
  ...poolOf('send', 10_000),
}

function poolOf(name: string, capacity: number): Record<string, string> {
  return {
    [`${name}ThreadPoolQueueCapacity`]: String(capacity),
    [`${name}ThreadPoolQueueHeadWaitTimeMills`]: '0',
    [`${name}ThreadPoolQueueSize`]: '0',
  }
}

/** Requests about the running broker, by code: [28] and [45]. behaviour.md §18 */
export function runtimeAnswers(options: RuntimeOptions): [number, Answer][] {
  const bootTimestamp = options.environment.clock.now()
  return [
    [RequestCode.GET_BROKER_RUNTIME_INFO, () => jsonReply({ table: runtimeTable(options, bootTimestamp) })],
    [
      RequestCode.GET_ALL_DELAY_OFFSET,
      () =>
        jsonReply({
          dataVersion: { ...options.delayOffsets.version },
          offsetTable: new Map([...options.delayOffsets.entries()]),
        }),
    ],
  ]
}

function runtimeTable(options: RuntimeOptions, bootTimestamp: number): JsonInput {
  const { environment, store } = options
  const seconds = Math.max(0, Math.floor((environment.clock.now() - bootTimestamp) / 1000))
  return {
    ...WITHOUT_MEANING,
    ...countFields(options),
    ...diskFields(options),
    ...delayFields(options),
    bootTimestamp: String(bootTimestamp),
    brokerActive: 'true',
    brokerVersion: String(BROKER_VERSION),
    brokerVersionDesc: 'V5_4_0',
    commitLogMaxOffset: String(store.logEnd),
    commitLogMinOffset: String(store.logBegin),
    // RocketMQ says −1 of an empty store, and mqadmin shows half a million hours.
    earliestMessageTimeStamp: String(recordTime(store, store.logBegin) ?? environment.clock.now()),
    runtime: durationText(seconds),
  }
}

function countFields({ counters, environment, totals }: RuntimeOptions): Record<string, string> {
  const now = environment.clock.monotonic()
  /** Per second over 10 s, 60 s and 600 s. */
  const rates = (...added: number[]): string =>
    [10, 60, 600]
      .map(seconds =>
        added.reduce((sum, index) => sum + counters.broker.rate(counters.times, seconds * 1000, now, index), 0),
      )
      .map(rate => String(Math.round(rate * 100) / 100))
      .join(' ')
  const transferred = rates(BROKER.messagesOut)
  return {
    getFoundTps: rates(BROKER.pullsFound),
    getMissTps: rates(BROKER.pullsEmpty),
    getTotalTps: rates(BROKER.pullsFound, BROKER.pullsEmpty),
    getTransferredTps: transferred,
    // Spelled like this by older brokers; the dashboard looks for it first.
    getTransferedTps: transferred,
    msgGetTotalTodayMorning: String(totals.todayMorning.messagesOut),
    msgGetTotalTodayNow: String(counters.messagesOut),
    msgGetTotalYesterdayMorning: String(totals.yesterdayMorning.messagesOut),
    msgPutTotalTodayMorning: String(totals.todayMorning.messagesIn),
    msgPutTotalTodayNow: String(counters.messagesIn),
    msgPutTotalYesterdayMorning: String(totals.yesterdayMorning.messagesIn),
    putMessageAverageSize: String(counters.messagesIn === 0 ? 0 : counters.bytesIn / counters.messagesIn),
    putMessageFailedTimes: String(counters.sendsRefused),
    putMessageSizeTotal: String(counters.bytesIn),
    putMessageTimesTotal: String(counters.messagesIn),
    putTps: rates(BROKER.messagesIn),
  }
}

/** Logs lie in one directory; the index, which stands for consume queues, on the same file system as its root. */
function diskFields({ config, environment }: RuntimeOptions): Record<string, string> {
  const root = config.storePathRootDir
  const log = config.storePathCommitLog || `${root}/commitlog`
  const logSpace = environment.disk.space(config.storePathCommitLog || root)
  const ratio = usedRatio(logSpace)
  return {
    commitLogDirCapacity: `Total : ${sizeText(logSpace.totalBytes)}, Free : ${sizeText(logSpace.freeBytes)}.`,
    commitLogDiskRatio: ratio,
    [`commitLogDiskRatio_${log}`]: ratio,
    consumeQueueDiskRatio: usedRatio(environment.disk.space(root)),
  }
}

function usedRatio({ freeBytes, totalBytes }: { readonly freeBytes: number; readonly totalBytes: number }): string {
  return totalBytes <= 0 ? '0.0' : (1 - freeBytes / totalBytes).toFixed(2)
}

function sizeText(bytes: number): string {
  const exponent = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${(bytes / 2 ** (10 * exponent)).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][exponent]}`
}

function delayFields({ delayOffsets, levelCount, store }: RuntimeOptions): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let level = 1; level <= levelCount; level++) {
    const maxOffset = store.maxOffset(SystemTopic.SCHEDULE, level - 1)
    if (maxOffset > 0) fields[`scheduleMessageOffset_${level}`] = `${delayOffsets.get(String(level)) ?? 0},${maxOffset}`
  }
  return fields
}

function durationText(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const hours = Math.floor(seconds / 3600) % 24
  const minutes = Math.floor(seconds / 60) % 60
  return `[ ${days} days, ${hours} hours, ${minutes} minutes, ${seconds % 60} seconds ]`
}
