import type { Child } from './children.js'
import { java } from './clients.js'
import type { MessageLine } from './messages.js'

/** The official admin tools (DefaultMQAdminExt) in one JVM that answers questions. */
export class JavaAdmin {
  readonly #child: Child

  constructor(nameServer: string, home: string) {
    this.#child = java('Admin', [nameServer], home)
  }

  createTopic(topic: string, queues: number): Promise<unknown> {
    return this.#ask('create', topic, queues)
  }

  deleteTopic(topic: string): Promise<unknown> {
    return this.#ask('delete', topic)
  }

  createGroup(group: string): Promise<unknown> {
    return this.#ask('create-group', group)
  }

  async masters(): Promise<string[]> {
    return (await this.#ask('masters')) as string[]
  }

  async topics(): Promise<string[]> {
    return (await this.#ask('topics')) as string[]
  }

  /** Write queues of a topic, by its route. */
  async queues(topic: string): Promise<number> {
    return (await this.#ask('queues', topic)) as number
  }

  async byKey(topic: string, key: string): Promise<MessageLine[]> {
    return (await this.#ask('by-key', topic, key)) as MessageLine[]
  }

  /** By unique id or by offset id. */
  async byId(topic: string, id: string): Promise<MessageLine[]> {
    return (await this.#ask('by-id', topic, id)) as MessageLine[]
  }

  /** First offset, and the one after the last. */
  async bounds(topic: string, queue: number): Promise<[number, number]> {
    return (await this.#ask('bounds', topic, queue)) as [number, number]
  }

  /** The offset of the first message stored at `timestampMs` or later. */
  async search(topic: string, queue: number, timestampMs: number): Promise<number> {
    return (await this.#ask('search', topic, queue, timestampMs)) as number
  }

  close(): Promise<void> {
    return this.#child.leave(30_000)
  }

  async #ask(...words: (string | number)[]): Promise<unknown> {
    this.#child.tell(words.join(' '))
    const line = await this.#child.line(text => text.startsWith('{'), 60_000)
    const answer = JSON.parse(line) as { result?: unknown; error?: string }
    if (answer.error !== undefined) throw new Error(`admin ${words.join(' ')}: ${answer.error}`)
    return answer.result
  }
}
