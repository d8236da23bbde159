import {
  type BodyCodec,
  INFLATED_BYTES_MAX,
  type MessageQueue,
  MillraceError,
  offsetMessageId,
  PropertyName,
  parseProperties,
  type StoredMessage,
} from '@millrace/core'

/** A message as it was received. What costs time is done when first asked for. */
export class ReceivedMessage {
  /** The queue it came from; of a retried message, one of the group's retry topic. */
  readonly queue: MessageQueue
  readonly #stored: StoredMessage
  readonly #codec: BodyCodec | undefined
  #properties: Readonly<Record<string, string>> | undefined
  #body: Buffer | undefined

  /** @internal */
  constructor(stored: StoredMessage, queue: MessageQueue, codec: BodyCodec | undefined) {
    this.#stored = stored
    this.queue = queue
    this.#codec = codec
  }

  /** Topic to which it was sent, also when it comes again from a retry topic. */
  get topic(): string {
    return this.properties[PropertyName.RETRY_TOPIC] ?? this.#stored.topic
  }

  /**
   * The body as it was sent, decompressed.
   * @throws MillraceError PROTOCOL when it cannot be decompressed.
   */
  get body(): Buffer {
    if (this.#body) return this.#body
    const { body } = this.#stored
    if (!this.#codec) this.#body = body
    else {
      const result = this.#codec.decompress(body, INFLATED_BYTES_MAX)
      if (!result.ok)
        throw new MillraceError(
          'PROTOCOL',
          `body of message ${this.offsetMessageId} cannot be decompressed: ${result.reason}`,
        )
      this.#body = result.body
    }
    return this.#body
  }

  /** Bytes of the body as it came over the wire. */
  get storedBodyBytes(): number {
    return this.#stored.body.length
  }

  /** Quick: false only when it certainly has no such property. */
  mayHaveProperty(name: string): boolean {
    return this.#stored.properties.includes(name)
  }

  /** Every property, RocketMQ's own included. */
  get properties(): Readonly<Record<string, string>> {
    this.#properties ??= parseProperties(this.#stored.properties)
    return this.#properties
  }

  get tag(): string | undefined {
    return this.properties[PropertyName.TAGS]
  }

  /** The keys, separated by blanks. */
  get keys(): string | undefined {
    return this.properties[PropertyName.KEYS]
  }

  get shardingKey(): string | undefined {
    return this.properties[PropertyName.SHARDING_KEY]
  }

  /** Id given by the producer; the same at every delivery. That of the broker when there is none. */
  get messageId(): string {
    return this.properties[PropertyName.UNIQ_KEY] ?? this.offsetMessageId
  }

  /** Id given by the broker: its address and the position in its log. */
  get offsetMessageId(): string {
    return offsetMessageId(this.#stored.storeHost, this.#stored.commitLogOffset)
  }

  /** Position in its queue. */
  get queueOffset(): number {
    return this.#stored.queueOffset
  }

  /** Position in the broker's log. */
  get commitLogOffset(): number {
    return this.#stored.commitLogOffset
  }

  /** Milliseconds since the epoch, by the producer's clock. */
  get bornTimestamp(): number {
    return this.#stored.bornTimestamp
  }

  /** Milliseconds since the epoch, by the broker's clock. */
  get storeTimestamp(): number {
    return this.#stored.storeTimestamp
  }

  /** How many times it was delivered before and not consumed. */
  get reconsumeTimes(): number {
    return this.#stored.reconsumeTimes
  }

  /** The user flag of the producer. */
  get flag(): number {
    return this.#stored.flag
  }
}
