import type { Topic } from './topics/topic.js'

/** Plain numbers that the data path counts up; read by whoever shows them. */
export class BrokerCounters {
  messagesIn = 0
  bytesIn = 0
  messagesOut = 0
  bytesOut = 0
  pullsFound = 0
  pullsEmpty = 0
  sendsRefused = 0

  put(_topic: Topic, messages: number, bytes: number): void {
    this.messagesIn += messages
    this.bytesIn += bytes
  }

  got(messages: number, bytes: number): void {
    this.messagesOut += messages
    this.bytesOut += bytes
    this.pullsFound++
  }
}
