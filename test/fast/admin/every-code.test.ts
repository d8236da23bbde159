import { readFileSync } from 'node:fs'
import { type RemotingCommand, RequestCode, ResponseCode } from '@millrace/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RawBroker, type RawClient, startRawBroker } from '../support/raw-broker.js'

const page = readFileSync(new URL('../../../docs/requests.md', import.meta.url), 'utf8')
const refused = [...page.matchAll(/^\| (\d+) +\| (\w+) +\| (.+?) +\|$/gm)].map(([, code, name, why]) => ({
  code: Number(code),
  name,
  why,
}))
const codes = Object.values(RequestCode)

/** Header fields of all requests together, but for commitOrRollback: ends of transactions that decide nothing are not answered. */
const FIELDS =
  `topic queueId group consumerGroup producerGroup clientID clientId groupName namespace key value brokerName
  brokerAddr clusterName cluster brokerId offset commitOffset timestamp queueOffset maxMsgNums sysFlag index count statsName
  statsKey maxNum beginTimestamp endTimestamp readQueueNums writeQueueNums perm order defaultTopic defaultTopicQueueNums
  bornTimestamp flag reconsumeTimes subVersion suspendTimeoutMillis delayLevel commitLogOffset
  tranStateTableOffset msgId compareGroup isForce srcGroup destGroup filterGroups extraInfo invisibleTime pollTime bornTime
  initMode recallHandle username subject policyType resource masterFlushOffset isOrder setZeroIfNotFound a b c d e f g h i j`
    .trim()
    .split(/\s+/)

const filled = (value: string): Record<string, string> => Object.fromEntries(FIELDS.map(name => [name, value]))

let broker: RawBroker
let client: RawClient

beforeAll(async () => {
  broker = await startRawBroker()
  client = await broker.connect()
})
afterAll(() => broker.stop())

describe('docs/requests.md', () => {
  it('names codes as the protocol does', () => {
    for (const { code, name } of refused) expect(RequestCode[name as keyof typeof RequestCode]).toBe(code)
    expect(refused.length).toBeGreaterThan(20)
  })

  it('lists what is answered "not supported"', async () => {
    const answers = await Promise.all(refused.map(({ code }) => client.call(code, {})))
    for (const [i, { code }] of refused.entries())
      expect(answers[i]).toMatchObject({
        code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        remark: ` request type ${code} not supported`,
      })
  })
})

describe.each([
  ['nothing in it', {}, undefined],
  ['fields that are no numbers, and no JSON', filled('x'), Buffer.from('{"a":')],
  ['negative numbers, and JSON of another kind', filled('-1'), Buffer.from('[1,2,{"x":null}]')],
  ['numbers that are too large, and bytes', filled('99999999999999999999'), Buffer.from([0, 255, 254, 0x7f, 0x80])],
  ['paths and quotes', filled('../"\'\\\u0000'), Buffer.from('null')],
])('a request of any code with %s', (_what, fields, body) => {
  it('is answered, and nobody else is disturbed', async () => {
    const asked: Promise<RemotingCommand>[] = codes.map(code => client.call(code, fields, body))
    const isRefused = new Set(refused.map(({ code }) => code))
    for (const [i, answer] of (await Promise.all(asked)).entries())
      expect([codes[i], answer.code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED]).toEqual([
        codes[i],
        isRefused.has(codes[i]),
      ])
    expect((await client.send('undisturbed', 'x')).code).toBe(0)
  })
})
