import type { Reply } from '../../listener/peer.js'
import { addressText } from '../../requests/address.js'
import { jsonReply } from '../../requests/answer.js'
import { asJson } from '../../requests/body.js'
import type { GroupMember, GroupView } from './group-registry.js'
import type { Producer } from './producers.js'

/** JSON object Connection: one client of a group. */
function connectionJson({ clientId, language, peer, version }: GroupMember | Producer): object {
  return { clientAddr: addressText(peer.remote), clientId, language, version }
}

/** Answer to [203]. behaviour.md §18 */
export function connectionsReply(group: GroupView): Reply {
  return jsonReply({
    connectionSet: [...group.members.values()].map(member => asJson(connectionJson(member))),
    consumeFromWhere: group.consumeFromWhere,
    consumeType: group.consumeType,
    messageModel: group.messageModel,
    subscriptionTable: new Map([...group.subscriptions].map(([topic, data]) => [topic, asJson(data)])),
  })
}

/** Answer to [204]. */
export function producersReply(producers: readonly Producer[]): Reply {
  return jsonReply({ connectionSet: producers.map(producer => asJson(connectionJson(producer))) })
}

/** Answer to [328]. */
export function allProducersReply(groups: Iterable<readonly [string, readonly Producer[]]>): Reply {
  const data = new Map(
    [...groups].map(([group, producers]) => [
      group,
      producers.map(({ clientId, language, lastSeen, peer, version }) => ({
        clientId,
        language,
        lastUpdateTimestamp: lastSeen,
        // The slash is how Java prints a socket address; readers cut it off.
        remoteIP: `/${addressText(peer.remote)}`,
        version,
      })),
    ]),
  )
  return jsonReply({ data })
}
