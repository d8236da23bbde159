import { formatJsonBody, type JsonInput, RequestCode, ResponseCode } from '@millrace/core'
import type { ConsumerOffsets } from '@millrace/storage'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, Refusal, textReply } from '../../requests/answer.js'
import { booleanField, optionalIntegerField, textField } from '../../requests/fields.js'
import type { ForbiddenTopics } from './forbidden-topics.js'
import {
  parseSubscriptionGroup,
  parseSubscriptionGroupList,
  type SubscriptionGroup,
  subscriptionGroupJson,
} from './subscription-group.js'
import type { SubscriptionGroups } from './subscription-groups.js'

/** Requests about the settings of groups, by code. behaviour.md §4 */
export function groupAnswers(
  groups: SubscriptionGroups,
  offsets: ConsumerOffsets,
  forbidden: ForbiddenTopics,
): [number, Answer][] {
  return [
    [
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
      ({ command }) => put(groups, [parseSubscriptionGroup(command.body)]),
    ],
    [
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
      ({ command }) => put(groups, parseSubscriptionGroupList(command.body)),
    ],
    [RequestCode.DELETE_SUBSCRIPTIONGROUP, request => remove(groups, offsets, forbidden, request)],
    [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, request => allGroupsReply(groups, forbidden, request)],
    [RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, request => groupReply(groups, request)],
  ]
}

async function put(groups: SubscriptionGroups, changed: readonly SubscriptionGroup[]): Promise<Reply> {
  await Promise.all(changed.map(group => groups.put(group)))
  return DONE
}

async function remove(
  groups: SubscriptionGroups,
  offsets: ConsumerOffsets,
  forbidden: ForbiddenTopics,
  { command }: RemotingRequest,
): Promise<Reply> {
  const name = textField(command, 'groupName')
  if (booleanField(command, 'cleanOffset', false)) offsets.remove(name)
  await Promise.all([groups.remove(name), forbidden.remove(name), offsets.flush()])
  return DONE
}

/** All groups, or with `groupSeq` and `maxGroupNum` a slice in name order. */
function allGroupsReply(groups: SubscriptionGroups, forbidden: ForbiddenTopics, { command }: RemotingRequest): Reply {
  const names = groups.names()
  const begin = optionalIntegerField(command, 'groupSeq')
  const count = optionalIntegerField(command, 'maxGroupNum') ?? names.length
  const wanted = begin === undefined ? names : [...names].sort().slice(begin, begin + count)
  const subscriptionGroupTable: Record<string, JsonInput> = Object.create(null)
  for (const name of wanted) {
    const group = groups.find(name)
    if (group) subscriptionGroupTable[name] = subscriptionGroupJson(group)
  }
  // Not `formatJson`: see the list of topics.
  const forbiddenTable = forbidden.all()
  const body = JSON.stringify({ dataVersion: groups.dataVersion, forbiddenTable, subscriptionGroupTable })
  return textReply(body, { totalGroupNum: String(names.length) })
}

function groupReply(groups: SubscriptionGroups, { command }: RemotingRequest): Reply {
  const name = textField(command, 'group')
  const group = groups.ensure(name)
  if (!group) throw new Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `No group in this broker. group: ${name}`)
  return { ...DONE, body: formatJsonBody(subscriptionGroupJson(group)) }
}
