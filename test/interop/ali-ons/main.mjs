// The ali-ons client, driven by the interop suite: send and consume; ../README.md has the contract.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import ons from 'ali-ons'

const IN_FLIGHT_MAX = 128
const TAGS = ['alpha', 'beta', 'gamma', 'delta']
const httpclient = {} // asked for, but only used to look name servers up where none is given
const logger = { debug() {}, info() {}, warn: console.warn, error: console.error }

/** A small generator with a fixed seed, so that a failing run sends the same bodies again. */
function random(seed) {
  let state = seed
  return max => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * max)
  }
}

const pick = random(42)
let number = 0

/** Every 50th body is long and repetitive: over 4 KiB the client compresses it. */
function makeMessage(topic) {
  const i = number++
  const body =
    i % 50 === 7
      ? Buffer.from(`long message ${i}; `.repeat(300 + pick(700)))
      : Buffer.from({ length: 16 + pick(1000) }, () => pick(256))
  const message = new ons.Message(topic, TAGS[i % TAGS.length], body)
  message.keys = [`key-${i}`, `pair-${i >> 1}`]
  message.properties.shade = `shade of ${i % 7}`
  return message
}

function write(out, message, body, rest) {
  const hash = createHash('sha256').update(body).digest('hex')
  const { tags, keys, properties } = message
  out.write(`${JSON.stringify({ hash, tags, keys, shade: properties.shade, ...rest })}\n`)
}

/** send NAMESRV TOPIC GROUP COUNT OUT */
async function send(nameSrv, topic, producerGroup, count, file) {
  const out = createWriteStream(file)
  const producer = new ons.Producer({ nameSrv, producerGroup, httpclient, logger })
  producer.on('error', fail)
  await producer.ready()
  const sendOne = async () => {
    const message = makeMessage(topic)
    const body = message.body
    const result = await producer.send(message)
    if (result.sendStatus !== 'SEND_OK') throw new Error(`not SEND_OK: ${JSON.stringify(result)}`)
    write(out, message, body, {
      id: result.msgId,
      queue: Number(result.messageQueue.queueId),
      offset: Number(result.queueOffset),
    })
  }
  // A few messages now and then, so that the suite can see when every consumer has its queues.
  let isTold = false
  const told = once(process.stdin, 'data').then(() => {
    isTold = true
  })
  while (!isTold) {
    for (let i = 0; i < 8; i++) await sendOne()
    await Promise.race([told, sleep(200)])
  }
  let left = Number(count)
  const loop = async () => {
    while (left-- > 0) await sendOne()
  }
  await Promise.all(Array.from({ length: IN_FLIGHT_MAX }, loop))
  out.end()
  await once(out, 'finish')
  console.log('sent')
}

/** consume NAMESRV TOPIC GROUP INSTANCE TAGS MODE OUT, until standard input ends */
async function consume(nameSrv, topic, consumerGroup, instanceName, tags, mode, file) {
  const out = createWriteStream(file)
  const consumer = new ons.Consumer({
    nameSrv,
    consumerGroup,
    instanceName,
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    isBroadcast: mode === 'broadcast',
    parallelConsumeLimit: 32,
    httpclient,
    logger,
  })
  consumer.on('error', error => console.error(error.message))
  consumer.subscribe(topic, tags, async message => {
    write(out, message, message.body, {
      id: message.msgId,
      queue: message.queueId,
      offset: Number(message.queueOffset),
      storedAt: Number(message.storeTimestamp),
      attempt: message.reconsumeTimes,
    })
    return mode === 'reject' && message.reconsumeTimes === 0 ? ons.Consumer.ACTION_RETRY : undefined
  })
  await consumer.ready()
  console.log('ready')
  process.stdin.resume()
  await once(process.stdin, 'end')
  await consumer.close()
  out.end()
  await once(out, 'finish')
}

function fail(error) {
  console.error(error)
  process.exit(1)
}

const [command, ...args] = process.argv.slice(2)
const run = { send, consume }[command]
if (!run) fail(new Error(`no such command: ${command}`))
run(...args).then(() => process.exit(0), fail)
