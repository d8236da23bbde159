import { decodeMessage, PropertyName, parseProperties, type StoredMessage, SysFlag, SystemTopic } from '@millrace/core'
import type { MessageStore, MetadataTable } from '@millrace/storage'
import { HALF_QUEUE, opOffsets, readHalf } from './half-message.js'
import { HALF, type HalfState, HalfStates, type SegmentRecord, segmentEnd } from './half-states.js'

/** How far the stored states of half messages are. */
interface Checkpoint {
  /** Half messages before this offset have ended. */
  readonly half: number
  /** Op records before this offset are in the stored states. */
  readonly op: number
  /** Messages before this log position that were committed or given up have their op record. */
  readonly position: number
  /** End of the log at that time: a shorter log has lost its tail, and these states are ahead of it. */
  readonly logEnd: number
}

/** What `transactions` in the metadata holds. */
export type TransactionRecord = { readonly checkpoint: Checkpoint } | { readonly segment: SegmentRecord }
export type TransactionTable = MetadataTable<TransactionRecord>

export type HalfStore = Pick<MessageStore, 'entry' | 'logBegin' | 'logEnd' | 'maxOffset' | 'minOffset' | 'record'>

/** A message was delivered or moved away, and its op record is missing: the broker died in between. */
export interface UnmarkedEnd {
  readonly offset: number
  readonly state: HalfState
}

export interface RecoveredHalves {
  readonly states: HalfStates
  /** First op record that is not in the stored states. */
  readonly opOffset: number
  readonly unmarked: readonly UnmarkedEnd[]
}

const CHECKPOINT = 'checkpoint'
const SEGMENT = 'segment '

/**
 * Finds out what became of every half message. The log decides: an op record ends a half message, and so does a
 * message that carries the half's position, which is in the log before its op record. Stored states only shorten the
 * way: op records are read from the checkpoint on, and the log from there, or from the first undecided half message.
 */
export function recoverHalves(store: HalfStore, table: TransactionTable, fileBytes: number): RecoveredHalves {
  const halfEnd = store.maxOffset(SystemTopic.TRANS_HALF, HALF_QUEUE)
  const opEnd = store.maxOffset(SystemTopic.TRANS_OP_HALF, HALF_QUEUE)
  const opFirst = store.minOffset(SystemTopic.TRANS_OP_HALF, HALF_QUEUE)
  const halfFirst = Math.min(halfEnd, store.minOffset(SystemTopic.TRANS_HALF, HALF_QUEUE))
  const stored = storedCheckpoint(table)
  const isUsable = stored !== undefined && stored.logEnd <= store.logEnd && stored.half <= halfEnd && stored.op <= opEnd
  const checkpoint = isUsable ? stored : { half: halfFirst, op: opFirst, position: 0, logEnd: 0 }
  const states = new HalfStates(Math.max(checkpoint.half, halfFirst))
  if (isUsable) loadSegments(table, states, halfEnd)
  else for (const key of [...table.keys()]) void table.remove(key)
  for (let offset = Math.max(checkpoint.op, opFirst); offset < opEnd; offset++) {
    const op = messageAt(store, SystemTopic.TRANS_OP_HALF, offset)
    if (op === undefined) continue
    for (const half of opOffsets(op.body)) if (half < halfEnd) states.settle(half, HALF.ended)
  }
  const unmarked = unmarkedEnds(store, states, halfEnd, checkpoint.position, fileBytes)
  if (!isUsable) unmarked.push(...replacedHalves(store, states, halfEnd, new Set(unmarked.map(({ offset }) => offset))))
  return { states, opOffset: opEnd, unmarked }
}

function storedCheckpoint(table: TransactionTable): Checkpoint | undefined {
  const record = table.get(CHECKPOINT)
  return record && 'checkpoint' in record ? record.checkpoint : undefined
}

function loadSegments(table: TransactionTable, states: HalfStates, halfEnd: number): void {
  for (const [key, record] of table.entries()) {
    if (key.startsWith(SEGMENT) && 'segment' in record)
      states.load(Number(key.slice(SEGMENT.length)), record.segment, halfEnd)
  }
}

/**
 * In a directory of Apache RocketMQ: it stores a half message again before each check and marks none but the last copy,
 * since its own offset in the half queue says the rest.
 */
function replacedHalves(
  store: HalfStore,
  states: HalfStates,
  halfEnd: number,
  ended: ReadonlySet<number>,
): UnmarkedEnd[] {
  const replaced: UnmarkedEnd[] = []
  const copied = new Set<string>()
  for (let offset = halfEnd - 1; offset >= states.first; offset--) {
    const entry = store.entry(SystemTopic.TRANS_HALF, HALF_QUEUE, offset)
    const half = entry && readHalf(store, entry.position)
    const key = half?.properties[PropertyName.UNIQ_KEY]
    if (half === undefined || key === undefined) continue
    if (copied.has(key) && !ended.has(offset) && states.get(offset) === HALF.undecided)
      replaced.push({ offset, state: HALF.ended })
    const { TRANSACTION_CHECK_TIMES: checks = '0', TRAN_PREPARED_QUEUE_OFFSET: origin } = half.properties
    if (Number(checks) > 0 || origin !== undefined) copied.add(key)
  }
  return replaced
}

/** Reads the log from where an end without its op record may be. */
function unmarkedEnds(
  store: HalfStore,
  states: HalfStates,
  halfEnd: number,
  from: number,
  fileBytes: number,
): UnmarkedEnd[] {
  const undecided = states.nextUndecided(states.first, halfEnd)
  if (undecided === halfEnd) return []
  const oldest = store.entry(SystemTopic.TRANS_HALF, HALF_QUEUE, undecided)
  const found = new Map<number, UnmarkedEnd>()
  for (let position = Math.max(from, store.logBegin, oldest?.position ?? 0); position < store.logEnd; ) {
    const record = store.record(position)
    if (record === undefined) {
      // The end of a file.
      position = (Math.floor(position / fileBytes) + 1) * fileBytes
      continue
    }
    position += record.length
    const end = endOf(store, record)
    if (end && end.offset < halfEnd && states.get(end.offset) === HALF.undecided) found.set(end.offset, end)
  }
  return [...found.values()]
}

const SYS_FLAG_AT = 36

/** The half message that a record ends, if it ends one. */
function endOf(store: HalfStore, record: Buffer): UnmarkedEnd | undefined {
  const isCommitted = (record.readInt32BE(SYS_FLAG_AT) & SysFlag.TRANSACTION_MASK) === SysFlag.TRANSACTION_COMMIT
  if (!isCommitted && !record.includes(SystemTopic.TRANS_CHECK_MAX_TIME)) return undefined
  const decoded = decodeMessage(record, 0, record.length)
  if (!decoded.ok) return undefined
  const { message } = decoded
  if (!isCommitted && message.topic !== SystemTopic.TRANS_CHECK_MAX_TIME) return undefined
  const half = readHalf(store, message.preparedTransactionOffset)
  if (!half || half.properties[PropertyName.UNIQ_KEY] !== parseProperties(message.properties)[PropertyName.UNIQ_KEY])
    return undefined
  return { offset: half.message.queueOffset, state: isCommitted ? HALF.committed : HALF.givenUp }
}

function messageAt(store: HalfStore, topic: string, offset: number): StoredMessage | undefined {
  const entry = store.entry(topic, HALF_QUEUE, offset)
  const record = entry && store.record(entry.position)
  const decoded = record && decodeMessage(record, 0, record.length)
  return decoded?.ok ? decoded.message : undefined
}

/**
 * Stores what has changed: first the states, then how far they are, so that a crash in between costs nothing.
 * @throws MillraceError DISK_FULL | DISK_FAILED | STORE_READ_ONLY by the promise; the same states are stored next time
 */
export async function storeCheckpoint(
  table: TransactionTable,
  states: HalfStates,
  progress: { readonly op: number; readonly position: number; readonly logEnd: number },
): Promise<void> {
  const half = states.first
  const dirty = states.takeDirty()
  try {
    await Promise.all(dirty.map(({ index, record }) => table.put(SEGMENT + index, { segment: record })))
    await table.put(CHECKPOINT, { checkpoint: { half, ...progress } })
  } catch (error) {
    states.markDirty(dirty.map(({ index }) => index))
    throw error
  }
  const behind = [...table.keys()].filter(
    key => key.startsWith(SEGMENT) && segmentEnd(Number(key.slice(SEGMENT.length))) <= half,
  )
  await Promise.all(behind.map(key => table.remove(key)))
}
