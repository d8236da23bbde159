import {
  decodeMessage,
  PropertyName,
  parseOffsetMessageId,
  parseProperties,
  ResponseCode,
  SystemTopic,
} from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import type { RemotingRequest } from '../../listener/peer.js'
import { DONE, failureReply, Refusal } from '../../requests/answer.js'
import { textField } from '../../requests/fields.js'
import { type Half, resumedHalf } from './half-message.js'
import { HALF, type HalfStates } from './half-states.js'

/** Resumed a moment ago: the key index may not have them yet. */
const RECENT_MAX = 1024

/**
 * [323]: an administrator wants a given-up half message checked again. It becomes a new half message, once; one that is
 * still undecided gets its checks anew where it is.
 */
export class ResumedHalves {
  readonly #recent = new Set<number>()

  constructor(
    private readonly store: Pick<MessageStore, 'append' | 'findByKey' | 'record'>,
    private readonly states: HalfStates,
  ) {}

  resume({ command, peer }: RemotingRequest): void {
    const refuse = (error: unknown): void => peer.reply(command, failureReply(error))
    try {
      const half = this.#find(textField(command, 'msgId'))
      if (half.message.topic === SystemTopic.TRANS_HALF) {
        this.#checkAnew(half)
        peer.reply(command, DONE)
        return
      }
      const position = half.message.commitLogOffset
      this.#refuseTwice(half, position)
      this.#remember(position)
      this.store.append(resumedHalf(half)).then(
        () => peer.reply(command, DONE),
        (error: unknown) => {
          this.#recent.delete(position)
          refuse(error)
        },
      )
    } catch (error) {
      refuse(error)
    }
  }

  #find(id: string): Half {
    const parsed = parseOffsetMessageId(id)
    const record = parsed && this.store.record(parsed.commitLogOffset)
    const decoded = record && decodeMessage(record, 0, record.length)
    const topic = decoded?.ok ? decoded.message.topic : undefined
    if (!decoded?.ok || (topic !== SystemTopic.TRANS_HALF && topic !== SystemTopic.TRANS_CHECK_MAX_TIME))
      throw new Refusal(
        ResponseCode.SYSTEM_ERROR,
        `${id} is no half message; give the offset message id of one in ${SystemTopic.TRANS_CHECK_MAX_TIME}`,
      )
    return { message: decoded.message, properties: parseProperties(decoded.message.properties) }
  }

  #checkAnew({ message: { queueOffset } }: Half): void {
    if (this.states.get(queueOffset) !== HALF.undecided)
      throw new Refusal(
        ResponseCode.SYSTEM_ERROR,
        `half message at queue offset ${queueOffset} is not undecided any more; a given-up one is resumed by its message in ${SystemTopic.TRANS_CHECK_MAX_TIME}`,
      )
    this.states.setChecks(queueOffset, 0)
  }

  /** Every half message of this transaction lies before the given-up one, unless that was resumed. */
  #refuseTwice({ properties }: Half, position: number): void {
    const key = properties[PropertyName.UNIQ_KEY] ?? ''
    const range = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, maxCount: 1, uniqueOnly: true }
    const [newest] = key === '' ? [] : this.store.findByKey(SystemTopic.TRANS_HALF, key, range)
    const decoded = newest && decodeMessage(newest, 0, newest.length)
    if (this.#recent.has(position) || (decoded?.ok && decoded.message.commitLogOffset > position))
      throw new Refusal(ResponseCode.SYSTEM_ERROR, `transaction ${key} has been resumed already`)
  }

  #remember(position: number): void {
    this.#recent.add(position)
    if (this.#recent.size <= RECENT_MAX) return
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest)
      break
    }
  }
}
