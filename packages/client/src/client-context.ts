import type { BodyCodec, Environment, RemotingCommand } from '@millrace/core'
import { MillraceError, ResponseCode } from '@millrace/core'
import type { ConnectionPool, RequestOptions } from './connection/connection-pool.js'
import type { Request } from './connection/remoting-connection.js'
import { RequestError } from './errors.js'
import type { Heartbeats } from './membership/heartbeats.js'
import type { Nameservers } from './route/nameservers.js'
import type { RouteTable } from './route/route-table.js'
import type { ServerRequests } from './served/server-requests.js'
import type { Tracer } from './trace/tracer.js'

/** What the producers, consumers and admin of one client share. @internal */
export interface ClientContext {
  readonly environment: Environment
  readonly clientId: string
  readonly pool: ConnectionPool
  readonly nameservers: Nameservers
  readonly routes: RouteTable
  readonly heartbeats: Heartbeats
  /** Compresses for producers until a codec of their own choice is loaded. */
  readonly zlib: BodyCodec
  /** What runs, and is closed with the client. */
  readonly open: Set<{ close(): Promise<void> }>
  /** Answers requests that brokers start. */
  readonly served: ServerRequests
  /** Writes traces for a producer or consumer of `group`; what waits is sent when the client is closed. */
  tracer(group: string): Tracer
  /** Makes an id for a message to send. */
  nextMessageId(): string
}

/**
 * Sends a request to the master of `brokerName` and resolves with a successful answer.
 * @throws RequestError when the answer is an error; CONNECT_FAILED when the broker is in no known route; as the pool
 */
export async function requestBroker(
  context: ClientContext,
  brokerName: string,
  what: string,
  request: Request,
  options?: RequestOptions,
): Promise<RemotingCommand> {
  const address = context.routes.addressOf(brokerName)
  if (address === undefined)
    throw new MillraceError(
      'CONNECT_FAILED',
      `${what}: broker "${brokerName}" has no master in any known route; check that it runs`,
    )
  return requestAddress(context, address, what, request, options)
}

/** The same for `host:port`. @throws RequestError when the answer is an error; as the pool */
export async function requestAddress(
  context: ClientContext,
  address: string,
  what: string,
  request: Request,
  options?: RequestOptions,
): Promise<RemotingCommand> {
  const answer = await context.pool.request(address, request, options)
  if (answer.code !== ResponseCode.SUCCESS) throw new RequestError(what, answer.code, answer.remark)
  return answer
}
