// Cost of the hot path codecs on what the load generator sends. Build first; then: node bench/micro/hot-scan.mjs
import {
  decodeFrame,
  encodeRequest,
  PropertyScan,
  PullScan,
  peekCode,
  recordLength,
  SendReplyTemplate,
  SendScan,
  scanProperties,
  scanPull,
  scanSend,
  unescapeInto,
  writePullReplyHeader,
  writeRecord,
  writeSendReply,
} from '../../packages/core/dist/index.js'

const ROUNDS = 5
const CALLS = 200_000
const FRAMES = 64

function jsonFrame(code, opaque, fields, body) {
  const text = JSON.stringify({
    code,
    flag: 0,
    language: 'GO',
    opaque,
    serializeTypeCurrentRPC: 'JSON',
    version: 475,
    extFields: fields,
  })
  const header = Buffer.from(text)
  const frame = Buffer.alloc(8 + header.length + body.length)
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(header.length, 4)
  frame.set(header, 8)
  frame.set(body, 8 + header.length)
  return frame
}

function sendFields(i) {
  const id = (0x7f000001n * 1000n + BigInt(i)).toString(16).toUpperCase().padStart(32, '0')
  return {
    a: 'rmqload-group',
    b: 'rmqload',
    c: 'TBW102',
    d: '4',
    e: String(i % 8),
    f: '0',
    g: String(1_700_000_000_000 + i),
    h: '0',
    i: `UNIQ_KEY\u0001${id}\u0002`,
    j: '0',
    k: 'false',
    m: 'false',
  }
}

function pullFields(i) {
  return {
    consumerGroup: 'rmqload-group',
    topic: 'rmqload',
    queueId: String(i % 8),
    queueOffset: String(1_000_000 + i),
    maxMsgNums: '32',
    sysFlag: '6',
    commitOffset: '0',
    suspendTimeoutMillis: '15000',
    subscription: '*',
    subVersion: '0',
    expressionType: 'TAG',
  }
}

const body = Buffer.alloc(1024, 'x')
const several = make => Array.from({ length: FRAMES }, (_, i) => make(i))
const sends = several(i => jsonFrame(310, i, sendFields(i), body))
const binarySends = several(i =>
  encodeRequest({ code: 310, opaque: i, extFields: sendFields(i), body, serialization: 'ROCKETMQ' }),
)
const pulls = several(i => jsonFrame(11, i, pullFields(i), Buffer.alloc(0)))

let sink = 0

function measure(what, call) {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage()
    for (let i = 0; i < CALLS; i++) call(i % FRAMES)
    const used = process.cpuUsage(start)
    best = Math.min(best, (used.user + used.system) / CALLS)
  }
  console.log(`${what.padEnd(44)} ${best.toFixed(3)} us`)
}

const send = new SendScan()
const pull = new PullScan()
const properties = new PropertyScan()
const scratch = Buffer.alloc(65_536)

measure('peekCode', i => {
  sink += peekCode(sends[i], 4, sends[i].length)
})
measure(`scanSend, JSON, header of ${sends[0].readUInt32BE(4)} bytes`, i => {
  if (!scanSend(sends[i], 4, sends[i].length, send)) throw new Error('declined')
  sink += send.queueId
})
measure('scanSend, binary', i => {
  if (!scanSend(binarySends[i], 4, binarySends[i].length, send)) throw new Error('declined')
  sink += send.queueId
})
measure(`scanPull, JSON, header of ${pulls[0].readUInt32BE(4)} bytes`, i => {
  if (!scanPull(pulls[i], 4, pulls[i].length, pull)) throw new Error('declined')
  sink += pull.queueId
})
measure('decodeFrame (general codec), JSON send', i => {
  sink += decodeFrame(sends[i], 4, sends[i].length).command.code
})

scanSend(sends[0], 4, sends[0].length, send)
const { propertiesStart, propertiesEnd, bodyStart, bodyEnd } = send
const length = unescapeInto(sends[0], propertiesStart, propertiesEnd, scratch, 0)
measure(`unescapeInto, ${propertiesEnd - propertiesStart} bytes`, () => {
  sink += unescapeInto(sends[0], propertiesStart, propertiesEnd, scratch, 0)
})
measure(`scanProperties, ${length} bytes`, () => {
  scanProperties(scratch, 0, length, properties)
  sink += properties.uniqueKeyEnd
})

const storeHost = Buffer.from([127, 0, 0, 1, 0, 0, 0x2a, 0x9f])
const record = {
  bodyCrc: 1,
  queueId: 3,
  flag: 0,
  queueOffset: 5_000_000,
  commitLogOffset: 5_000_000_000,
  sysFlag: 0,
  bornTimestamp: 1_700_000_000_000,
  bornHost: storeHost,
  storeTimestamp: 1_700_000_000_001,
  storeHost,
  reconsumeTimes: 0,
  preparedTransactionOffset: 0,
  body: sends[0],
  bodyStart,
  bodyEnd,
  topic: Buffer.from('rmqload'),
  properties: scratch,
  propertiesStart: 0,
  propertiesEnd: length,
}
const ring = Buffer.alloc(1 << 22)
let at = 0
measure(`writeRecord, ${recordLength(record)} bytes`, () => {
  if (at > ring.length - 4096) at = 0
  at = writeRecord(ring, at, record)
})

const reply = {
  template: new SendReplyTemplate({ host: '127.0.0.1', port: 10_911 }, { region: 'DefaultRegion', isTraceOn: true }),
  isBinary: false,
  opaque: 12_345,
  code: 0,
  queueId: 3,
  queueOffset: 5_000_000,
  positions: Float64Array.of(5_000_000_000),
  positionCount: 1,
  transactionId: scratch,
  transactionIdStart: 9,
  transactionIdEnd: 41,
}
measure('writeSendReply, JSON', i => {
  reply.opaque = i
  sink += writeSendReply(ring, 0, reply)
})
reply.isBinary = true
measure('writeSendReply, binary', i => {
  reply.opaque = i
  sink += writeSendReply(ring, 0, reply)
})

const pullReply = {
  isBinary: false,
  opaque: 1,
  code: 0,
  remark: 'FOUND',
  suggestWhichBrokerId: 0,
  nextBeginOffset: 5_000_032,
  minOffset: 0,
  maxOffset: 6_000_000,
  topicSysFlag: 0,
  groupSysFlag: 0,
  bodyLength: 32_000,
}
measure('writePullReplyHeader, JSON', i => {
  pullReply.opaque = i
  sink += writePullReplyHeader(ring, 0, pullReply)
})
if (sink === 0) throw new Error('nothing was measured')
