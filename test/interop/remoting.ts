import { connect } from 'node:net'

export interface Answer {
  readonly code: number
  readonly remark?: string
  readonly extFields?: Readonly<Record<string, string>>
  readonly body: Buffer
}

/**
 * One request in the remoting protocol with JSON headers, on a connection of its own: what the suite itself needs
 * (is it up? create a topic) without Java, and without the code under test.
 */
export function request(
  address: string,
  code: number,
  extFields: Readonly<Record<string, string>>,
  deadlineMs = 5_000,
  body: Buffer = Buffer.alloc(0),
): Promise<Answer> {
  const header = Buffer.from(
    JSON.stringify({
      code,
      language: 'JAVA',
      version: 493,
      opaque: 1,
      flag: 0,
      extFields,
      serializeTypeCurrentRPC: 'JSON',
    }),
  )
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(4 + header.length + body.length)
  frame.writeUInt32BE(header.length, 4)
  const [host, port] = address.split(':')
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host!)
    socket.setTimeout(deadlineMs, () => socket.destroy(new Error(`no answer from ${address} in ${deadlineMs} ms`)))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`${address} closed the connection`)))
    socket.write(Buffer.concat([frame, header, body]))
    let received = Buffer.alloc(0)
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < 8 || received.length < 4 + received.readUInt32BE()) return
      const end = 8 + (received.readUInt32BE(4) & 0xff_ffff)
      const answer = JSON.parse(received.toString('utf8', 8, end)) as Omit<Answer, 'body'>
      resolve({ ...answer, body: received.subarray(end, 4 + received.readUInt32BE()) })
      socket.destroy()
    })
  })
}

/** Does the name server at `address` know a broker? Asks for the route of the default topic, as a new producer does. */
export async function hasBroker(address: string): Promise<boolean> {
  const answer = await request(address, 105, { topic: 'TBW102' }, 1_000).catch(() => undefined)
  return answer?.code === 0
}

/** Creates a topic on one broker (request 17). */
export async function createTopic(broker: string, topic: string, queues: number): Promise<void> {
  const answer = await request(broker, 17, {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: String(queues),
    writeQueueNums: String(queues),
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: '0',
    order: 'false',
  })
  if (answer.code !== 0) throw new Error(`topic "${topic}" was refused: ${answer.code} ${answer.remark}`)
}
