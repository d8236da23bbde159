import { CommandFlag, decodeFrame, peekCode, RequestCode, ResponseCode } from '@millrace/core'
import type { FrameServer, RemotingConnection, Taken } from '../listener/connection.js'
import type { RemotingRequest } from '../listener/peer.js'
import type { Handler } from '../requests/answer.js'
import type { RequestGuard } from '../security/request-guard.js'
import type { PullPath } from './pull/pull-path.js'
import type { SendPath } from './send/send-path.js'

/** The hot paths of a broker; a nameserver has none. */
export interface HotPaths {
  readonly send: SendPath
  readonly pull: PullPath
}

/** Hands each frame to what serves its code. */
export class CodeFrameServer implements FrameServer {
  constructor(
    private readonly handlers: ReadonlyMap<number, Handler>,
    private readonly hotPaths: HotPaths | undefined,
    private readonly guard: RequestGuard | undefined,
  ) {}

  hot(connection: RemotingConnection, bytes: Buffer, start: number, end: number): Taken {
    if (this.guard !== undefined) {
      const admitted = this.admit(this.guard, connection, bytes, start, end)
      if (admitted !== undefined) return admitted
    }
    if (this.hotPaths === undefined) return 'unusual'
    switch (peekCode(bytes, start, end)) {
      case RequestCode.SEND_MESSAGE_V2:
      case RequestCode.SEND_MESSAGE:
      case RequestCode.SEND_BATCH_MESSAGE:
        return this.hotPaths.send.take(connection, bytes, start, end)
      case RequestCode.PULL_MESSAGE:
      case RequestCode.LITE_PULL_MESSAGE:
        return this.hotPaths.pull.take(connection, bytes, start, end)
      default:
        return 'unusual'
    }
  }

  /**
   * Undefined lets the hot path go on. The guard reads the header with the general codec, so the byte scanners get only
   * frames that both read alike: the scanners decline whatever is written in an unusual way.
   */
  private admit(
    guard: RequestGuard,
    connection: RemotingConnection,
    bytes: Buffer,
    start: number,
    end: number,
  ): Taken | undefined {
    const decoded = decodeFrame(bytes, start, end)
    // A broken frame, or an answer to a request of ours: the connection knows what to do.
    if (!decoded.ok || decoded.command.flag & CommandFlag.RESPONSE) return 'unusual'
    const { command } = decoded
    const refusal = guard.refusal(command, connection)
    if (refusal !== undefined) {
      connection.reply(command, refusal)
      return 'taken'
    }
    return peekCode(bytes, start, end) === command.code ? undefined : 'unusual'
  }

  request(request: RemotingRequest): void {
    const { code } = request.command
    const handler = this.handlers.get(code)
    if (handler) handler(request)
    else {
      request.peer.reply(request.command, {
        code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        remark: ` request type ${code} not supported`,
      })
    }
  }
}
