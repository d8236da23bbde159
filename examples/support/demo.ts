import { Millrace, type Pipeline, type Topic } from 'millrace'

interface Input {
  readonly text: string
  send(millrace: Millrace): Promise<unknown>
}

/** A value for a topic. */
export function input<T>(topic: Topic<T>, value: T): Input {
  return { text: `${topic.name}: ${JSON.stringify(value)}`, send: millrace => millrace.send(topic, value) }
}

interface DemoOptions {
  readonly pipeline: Pipeline
  /** What is sent, in order. */
  readonly inputs: readonly Input[]
  /** Topics that are read and printed. */
  readonly outputs: readonly { readonly name: string }[]
  /** Results after which the demo ends. */
  readonly resultCount: number
}

/** Runs a pipeline on a broker in this process, in a temporary directory: sends the inputs and prints what comes out. */
export async function runDemo({ pipeline, inputs, outputs, resultCount }: DemoOptions): Promise<void> {
  await using millrace = await Millrace.start()
  await millrace.run(pipeline, { queuesOfNewTopics: 1 })
  let received = 0
  const consumer = millrace.consumer({
    group: 'demo',
    topics: outputs.map(({ name }) => name),
    from: 'first',
    isOrdered: true,
  })
  const done = new Promise<void>(resolve => {
    void consumer.run(message => {
      console.log(`${message.topic}: ${message.body.toString()}`)
      if (++received === resultCount) resolve()
    })
  })
  for (const next of inputs) {
    await next.send(millrace)
    console.log(`  sent to ${next.text}`)
  }
  await done
  await consumer.close()
}
