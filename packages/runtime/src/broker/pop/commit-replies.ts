import { CommandFlag, encodeResponse, type RemotingCommand } from '@millrace/core'
import type { PopReceipts } from '@millrace/storage'
import type { Peer, Reply } from '../../listener/peer.js'
import { DONE, failureReply } from '../../requests/answer.js'

type Asked = Pick<RemotingCommand, 'flag' | 'opaque' | 'serialization'>

/** A connection as replies need it. */
export interface ReplyPeer extends Pick<Peer, 'isOpen'> {
  send(bytes: Uint8Array): void
}

interface Waiting {
  readonly peer: ReplyPeer
  readonly asked: Asked
  readonly frame: Buffer
}

/**
 * Answers that leave once what they tell of is durable. Those of one turn wait for the same transaction and leave in one write per
 * connection; when it fails they are refused instead.
 */
export class CommitReplies {
  #waiting: Waiting[] = []
  #commit: Promise<void> | undefined

  constructor(private readonly receipts: PopReceipts) {}

  /** Answers `asked` when all changes of receipts made so far are durable. */
  add(peer: ReplyPeer, asked: Asked, reply: Reply): void {
    const commit = this.receipts.commit()
    if (commit !== this.#commit) {
      this.#commit = commit
      const waiting: Waiting[] = []
      this.#waiting = waiting
      commit.then(
        () => release(waiting),
        (error: unknown) => refuse(waiting, failureReply(error)),
      )
    }
    if ((asked.flag & CommandFlag.ONEWAY) === 0)
      this.#waiting.push({ peer, asked, frame: reply === DONE ? doneFrame(asked) : encodeResponse(asked, reply) })
  }
}

/** The header of `DONE` around its opaque, as the general codec writes it. */
const MARK = 1_234_567_890
const HEADER_AT = 8
const [BEFORE = '', AFTER = ''] = encodeResponse({ opaque: MARK, serialization: 'JSON' }, DONE)
  .toString('latin1', HEADER_AT)
  .split(String(MARK))

/** Most answers are this one. */
function doneFrame(asked: Asked): Buffer {
  if (asked.serialization !== 'JSON') return encodeResponse(asked, DONE)
  const header = BEFORE + asked.opaque + AFTER
  const frame = Buffer.allocUnsafe(HEADER_AT + header.length)
  frame.writeInt32BE(4 + header.length, 0)
  frame.writeInt32BE(header.length, 4)
  frame.write(header, HEADER_AT, 'latin1')
  return frame
}

function release(waiting: readonly Waiting[]): void {
  for (let i = 0; i < waiting.length; ) {
    const { frame, peer } = waiting[i]
    let next = i + 1
    // Requests of one connection usually came one after the other.
    while (next < waiting.length && waiting[next].peer === peer) next++
    peer.send(next === i + 1 ? frame : Buffer.concat(waiting.slice(i, next).map(each => each.frame)))
    i = next
  }
}

function refuse(waiting: readonly Waiting[], reply: Reply): void {
  for (const { asked, peer } of waiting) peer.send(encodeResponse(asked, reply))
}
