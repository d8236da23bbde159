import {
  type ClusterInfo,
  decodeClusterInfo,
  MillraceError,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@millrace/core'
import { type ClientContext, requestAddress } from '../client-context.js'
import type { Request } from '../connection/remoting-connection.js'
import { RequestError } from '../errors.js'
import { MASTER_ID } from '../route/topic-route.js'

/** Clusters and their brokers. @throws RequestError, MillraceError PROTOCOL | CONNECT_FAILED */
export async function clusterInfo(context: ClientContext): Promise<ClusterInfo> {
  const answer = await askNameserver(context, 'cluster list', { code: RequestCode.GET_BROKER_CLUSTER_INFO })
  const info = decodeClusterInfo(answer.body)
  if (!info.ok) throw new MillraceError('PROTOCOL', `the cluster list is unreadable: ${info.reason}`)
  return info.value
}

/** A broker's master. */
export interface Master {
  readonly brokerName: string
  readonly address: string
}

/**
 * The masters of a cluster; without a name, of the only one there is.
 * @throws MillraceError INVALID_ARGUMENT when the cluster is unknown, or none is named and there are several.
 */
export async function mastersOf(context: ClientContext, cluster: string | undefined): Promise<readonly Master[]> {
  const info = await clusterInfo(context)
  const names = Object.keys(info.clusterAddrTable)
  if (cluster === undefined && names.length > 1)
    throw new MillraceError('INVALID_ARGUMENT', `there are several clusters (${names.join(', ')}); name one`)
  const brokerNames = info.clusterAddrTable[cluster ?? names[0] ?? '']
  if (!brokerNames)
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `there is no cluster "${cluster ?? ''}"; known: ${names.join(', ') || 'none, no broker has registered'}`,
    )
  const masters: Master[] = []
  for (const brokerName of brokerNames) {
    const address = info.brokerAddrTable[brokerName]?.brokerAddrs[MASTER_ID]
    if (address !== undefined) masters.push({ brokerName, address })
  }
  if (masters.length === 0) throw new MillraceError('CONNECT_FAILED', 'the cluster has no master broker; start one')
  return masters
}

/** The masters of every cluster. */
export async function allMasters(context: ClientContext): Promise<readonly Master[]> {
  const { brokerAddrTable } = await clusterInfo(context)
  return Object.values(brokerAddrTable).flatMap(({ brokerName, brokerAddrs }) => {
    const address = brokerAddrs[MASTER_ID]
    return address === undefined ? [] : [{ brokerName, address }]
  })
}

/** The successful answer of a name server. @throws RequestError, MillraceError CONNECT_FAILED */
export async function askNameserver(context: ClientContext, what: string, request: Request): Promise<RemotingCommand> {
  const answer = await context.nameservers.request(request)
  if (answer.code !== ResponseCode.SUCCESS) throw new RequestError(what, answer.code, answer.remark)
  return answer
}

/** Sends the same request to each broker; all have succeeded when this resolves. @throws as `requestAddress` */
export async function askEach(
  context: ClientContext,
  masters: readonly Master[],
  what: string,
  request: Request,
): Promise<readonly { readonly brokerName: string; readonly answer: RemotingCommand }[]> {
  return Promise.all(
    masters.map(async ({ brokerName, address }) => ({
      brokerName,
      answer: await requestAddress(context, address, `${what} on broker "${brokerName}"`, request),
    })),
  )
}
