// Cost of the hot path codecs on what the load generator sends. Build first; then: node bench/micro/hot-scan.mjs
import {
  decodeFrame,
  encodeRequest,
  PropertyScan,
  PullScan,
  peekCode,
  SendReplyTemplate,
  SendScan,
  scanProperties,
  scanPull,
  scanSend,
  unescapeInto,
  writePullReplyHeader,
  writeSendReply,
} from '../../packages/core/dist/index.js'

/** The best of many short rounds: others use the machine too. */
const ROUNDS = 300
const CALLS = 2000
const WARM_UP_CALLS = 200_000
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
  for (let i = 0; i < WARM_UP_CALLS; i++) call(i % FRAMES)
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < CALLS; i++) call(i % FRAMES)
    best = Math.min(best, Number(process.hrtime.bigint() - start) / CALLS / 1000)
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
const headers = sends.map(frame => frame.toString('utf8', 8, 8 + frame.readUInt32BE(4)))
measure('JSON.parse of the same header, for comparison', i => {
  sink += JSON.parse(headers[i]).code
})
measure('decodeFrame (general codec), JSON send', i => {
  sink += decodeFrame(sends[i], 4, sends[i].length).command.code
})

scanSend(sends[0], 4, sends[0].length, send)
const { propertiesStart, propertiesEnd } = send
const length = unescapeInto(sends[0], propertiesStart, propertiesEnd, scratch, 0)
measure(`unescapeInto, ${propertiesEnd - propertiesStart} bytes`, () => {
  sink += unescapeInto(sends[0], propertiesStart, propertiesEnd, scratch, 0)
})
measure(`scanProperties, ${length} bytes`, () => {
  scanProperties(scratch, 0, length, properties)
  sink += properties.uniqueKeyEnd
})

const output = Buffer.alloc(4096)
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
  recallHandle: Buffer.alloc(0),
}
measure('writeSendReply, JSON', i => {
  reply.opaque = i
  sink += writeSendReply(output, 0, reply)
})
reply.isBinary = true
measure('writeSendReply, binary', i => {
  reply.opaque = i
  sink += writeSendReply(output, 0, reply)
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
  sink += writePullReplyHeader(output, 0, pullReply)
})
if (sink === 0) throw new Error('nothing was measured')
