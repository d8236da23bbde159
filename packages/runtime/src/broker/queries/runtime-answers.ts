import { BROKER_VERSION, type Clock, type JsonInput, RequestCode, SystemTopic } from '@millrace/core'
import type { MessageStore, MetadataTable } from '@millrace/storage'
import { type Answer, jsonReply } from '../../requests/answer.js'

/** Figures that the data path keeps. Counts are since the broker started. */
export interface RuntimeSource {
  readonly messagesIn: number
  readonly bytesIn: number
  readonly messagesOut: number
  readonly pullsFound: number
  readonly pullsEmpty: number
}

export interface RuntimeOptions {
  readonly clock: Clock
  readonly store: Pick<MessageStore, 'logBegin' | 'logEnd' | 'maxOffset'>
  /** Next offset to deliver, by delay level. */
  readonly delayOffsets: MetadataTable<number>
  readonly levelCount: number
  readonly source: RuntimeSource
}

/** Keys that readers insist on, of things this broker has not: thread pools, timer wheel, page cache locks. */
const ALWAYS_ZERO = [
  'dispatchBehindBytes',
  'earliestMessageTimeStamp',
  'msgGetTotalTodayMorning',
  'msgGetTotalYesterdayMorning',
  'msgPutTotalTodayMorning',
  'msgPutTotalYesterdayMorning',
  'pageCacheLockTimeMills',
  'pullThreadPoolQueueHeadWaitTimeMills',
  'pullThreadPoolQueueSize',
  'putMessageFailedTimes',
  'queryThreadPoolQueueHeadWaitTimeMills',
  'queryThreadPoolQueueSize',
  'sendThreadPoolQueueHeadWaitTimeMills',
  'sendThreadPoolQueueSize',
  'startAcceptSendRequestTimeStamp',
  'timerCongestNum',
  'timerOffsetBehind',
  'timerReadBehind',
]

/** Requests about the running broker, by code: [28] and [45]. behaviour.md §18 */
export function runtimeAnswers(options: RuntimeOptions): [number, Answer][] {
  const bootTimestamp = options.clock.now()
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
  const { clock, delayOffsets, levelCount, source, store } = options
  const seconds = Math.max(1, (clock.now() - bootTimestamp) / 1000)
  const putTps = (source.messagesIn / seconds).toFixed(2)
  const getTps = (source.messagesOut / seconds).toFixed(2)
  const average = source.messagesIn === 0 ? 0 : source.bytesIn / source.messagesIn
  const table: Record<string, string> = Object.fromEntries(ALWAYS_ZERO.map(key => [key, '0']))
  Object.assign(table, {
    bootTimestamp: String(bootTimestamp),
    brokerActive: 'true',
    brokerVersion: String(BROKER_VERSION),
    brokerVersionDesc: 'V5_4_0',
    commitLogDiskRatio: '0.0',
    commitLogMaxOffset: String(store.logEnd),
    commitLogMinOffset: String(store.logBegin),
    consumeQueueDiskRatio: '0.0',
    getFoundTps: rates((source.pullsFound / seconds).toFixed(2)),
    getMissTps: rates((source.pullsEmpty / seconds).toFixed(2)),
    getTotalTps: rates(((source.pullsFound + source.pullsEmpty) / seconds).toFixed(2)),
    getTransferredTps: rates(getTps),
    getTransferedTps: rates(getTps),
    msgGetTotalTodayNow: String(source.messagesOut),
    msgPutTotalTodayNow: String(source.messagesIn),
    putMessageAverageSize: String(average),
    putMessageSizeTotal: String(source.bytesIn),
    putMessageTimesTotal: String(source.messagesIn),
    putTps: rates(putTps),
    runtime: durationText(Math.floor(seconds)),
    timerDequeueTps: '0.0',
    timerEnqueueTps: '0.0',
  })
  for (let level = 1; level <= levelCount; level++) {
    const maxOffset = store.maxOffset(SystemTopic.SCHEDULE, level - 1)
    if (maxOffset > 0) table[`scheduleMessageOffset_${level}`] = `${delayOffsets.get(String(level)) ?? 0},${maxOffset}`
  }
  return table
}

/** Over 10 s, 60 s and 600 s; here all three are since the start. */
function rates(perSecond: string): string {
  return `${perSecond} ${perSecond} ${perSecond}`
}

function durationText(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const hours = Math.floor(seconds / 3600) % 24
  const minutes = Math.floor(seconds / 60) % 60
  return `[ ${days} days, ${hours} hours, ${minutes} minutes, ${seconds % 60} seconds ]`
}
