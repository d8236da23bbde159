/** One record of a client's message trace, as bodies on RMQ_SYS_TRACE_TOPIC carry them. */
export interface TraceRecord {
  readonly type: TraceType
  /** Fields by name; absent where the client's version does not send one. */
  readonly fields: Readonly<Record<string, string>>
}

/** Names of the fields of each type, in order, after the type itself. behaviour.md §17 */
const FIELDS = {
  Pub: [
    'timestamp',
    'region',
    'group',
    'topic',
    'msgId',
    'tags',
    'keys',
    'storeHost',
    'bodyLength',
    'costMs',
    'messageType',
    'offsetMsgId',
    'isSuccess',
  ],
  Recall: ['timestamp', 'region', 'group', 'topic', 'msgId', 'isSuccess'],
  SubBefore: ['timestamp', 'region', 'group', 'requestId', 'msgId', 'retryTimes', 'keys'],
  SubAfter: ['requestId', 'msgId', 'costMs', 'isSuccess', 'keys', 'contextCode', 'timestamp', 'group'],
  EndTransaction: [
    'timestamp',
    'region',
    'group',
    'topic',
    'msgId',
    'tags',
    'keys',
    'storeHost',
    'messageType',
    'transactionId',
    'transactionState',
    'isFromCheck',
  ],
} as const

export type TraceType = keyof typeof FIELDS

const FIELD_END = '\u0001'
const RECORD_END = '\u0002'

function isType(text: string): text is TraceType {
  return Object.hasOwn(FIELDS, text)
}

/** Reads the records of a trace message's body; those of unknown types are left out. Never throws. */
export function parseTraceRecords(body: string): TraceRecord[] {
  const records: TraceRecord[] = []
  for (const text of body.split(RECORD_END)) {
    const [type, ...values] = text.split(FIELD_END)
    if (!isType(type)) continue
    const fields: Record<string, string> = {}
    for (const [i, name] of FIELDS[type].entries()) if (i < values.length) fields[name] = values[i]
    records.push({ type, fields })
  }
  return records
}

/** One record as bodies of trace messages carry it; a field that is not given is empty. */
export function formatTraceRecord({ type, fields }: TraceRecord): string {
  return [type, ...FIELDS[type].map(name => fields[name] ?? '')].join(FIELD_END) + RECORD_END
}
