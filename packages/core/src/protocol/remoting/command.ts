/** Header serialization of a frame. `../shared/protocol/remoting.md` §1 */
export type Serialization = 'JSON' | 'ROCKETMQ'

/** One remoting request or response, decoded. */
export interface RemotingCommand {
  readonly code: number
  /** Name as on the wire, e.g. JAVA, GO, CPP. */
  readonly language: string
  readonly version: number
  readonly opaque: number
  /** Bit 0: response. Bit 1: one-way. */
  readonly flag: number
  readonly remark: string | undefined
  readonly extFields: Readonly<Record<string, string>>
  /** Undefined when the frame carries no byte of body. A view of the decoded buffer, not a copy. */
  readonly body: Buffer | undefined
  readonly serialization: Serialization
}
