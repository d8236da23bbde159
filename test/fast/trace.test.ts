import { Client } from '@millrace/client'
import { parseTraceRecords, RequestCode } from '@millrace/core'
import { expect, it } from 'vitest'
import { messagesOf, startRawBroker } from './support/raw-broker.js'

it('writes traces of sends and of handled messages that are found by message id and key', async () => {
  const broker = await startRawBroker()
  const admin = await broker.connect()
  const client = await Client.connect({ nameservers: broker.nameserver, environment: broker.environment })
  await client.admin.createTopic('traced', { queues: 1 })
  const consumer = client.consumer({ group: 'g', topics: ['traced'], from: 'first', trace: true, onError: () => {} })
  let calls = 0
  await consumer.run(() => {
    if (++calls === 2) throw new Error('the second one')
  })
  const producer = client.producer({ group: 'p', trace: true })
  const one = await producer.send({ topic: 'traced', body: 'one', tag: 'T', keys: ['k1', 'k2'] })
  await producer.send({ topic: 'traced', body: 'two', delayLevel: 1 })
  await expect.poll(() => calls, { timeout: 8000 }).toBe(2)
  await client.close()

  const query = async (key: string) => {
    const fields = { topic: 'RMQ_SYS_TRACE_TOPIC', key, maxNum: '64', beginTimestamp: '0' }
    const found = await admin.call(RequestCode.QUERY_MESSAGE, { ...fields, endTimestamp: '9223372036854775807' })
    return messagesOf(found).flatMap(message => parseTraceRecords(message.body.toString()))
  }
  for (const key of [one.messageId, 'k2']) await expect.poll(() => query(key), { timeout: 5000 }).not.toEqual([])
  const records = (await query(one.messageId)).filter(({ fields }) => fields['msgId'] === one.messageId)
  expect(records.map(({ type }) => type).sort()).toEqual(['Pub', 'SubAfter', 'SubBefore'])
  expect(records.find(({ type }) => type === 'Pub')?.fields).toMatchObject({
    group: 'p',
    topic: 'traced',
    tags: 'T',
    keys: 'k1 k2',
    bodyLength: '3',
    messageType: '0',
    offsetMsgId: one.offsetMessageId,
    isSuccess: 'true',
    storeHost: expect.stringMatching(/:\d+$/),
  })
  expect(records.find(({ type }) => type === 'SubAfter')?.fields).toMatchObject({
    isSuccess: 'true',
    contextCode: '0',
    group: 'g',
  })
  await broker.stop()
})
