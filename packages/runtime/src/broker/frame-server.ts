import { peekCode, RequestCode, ResponseCode } from '@millrace/core'
import type { FrameServer, RemotingConnection, Taken } from '../listener/connection.js'
import type { RemotingRequest } from '../listener/peer.js'
import type { Handler } from '../requests/answer.js'
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
  ) {}

  hot(connection: RemotingConnection, bytes: Buffer, start: number, end: number): Taken {
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
