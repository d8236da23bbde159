import {
  decodeAcl,
  decodeUser,
  type JsonInput,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type UserInfo,
} from '@millrace/core'
import type { RemotingRequest, Reply } from '../listener/peer.js'
import { type Answer, DONE, jsonReply, Refusal } from '../requests/answer.js'
import { asJson, bodyOf } from '../requests/body.js'
import { optionalTextField } from '../requests/fields.js'
import { checkEntry, type Policy, type PolicyEntry, policyTypeOf } from './policy.js'
import { formatResource, parseResource } from './resource.js'
import type { UserChange, UserDirectory, UserRecord } from './user-directory.js'

/** Requests that the security actor serves. */
export const USER_REQUESTS: readonly number[] = [
  RequestCode.AUTH_CREATE_USER,
  RequestCode.AUTH_UPDATE_USER,
  RequestCode.AUTH_DELETE_USER,
  RequestCode.AUTH_GET_USER,
  RequestCode.AUTH_LIST_USER,
  RequestCode.AUTH_CREATE_ACL,
  RequestCode.AUTH_UPDATE_ACL,
  RequestCode.AUTH_DELETE_ACL,
  RequestCode.AUTH_GET_ACL,
  RequestCode.AUTH_LIST_ACL,
]

/**
 * Requests about users and what they may do, by code. Passwords are taken and never given out. Super users are changed
 * by super users only, and so is what anybody may do. remoting.md §10, RocketMQ `AdminBrokerProcessor`
 */
export function userAnswers(users: UserDirectory): [number, Answer][] {
  return [
    [
      RequestCode.AUTH_CREATE_USER,
      async request => {
        const name = usernameOf(request.command)
        const change = changeOf(request.command)
        if (change.userType === 'Super') mustBeSuper(users, request, 'The super user can only be create by super user')
        await users.create(name, change)
        return DONE
      },
    ],
    [
      RequestCode.AUTH_UPDATE_USER,
      async request => {
        const name = usernameOf(request.command)
        const change = changeOf(request.command)
        if (change.userType === 'Super' || users.record(name)?.userType === 'Super')
          mustBeSuper(users, request, 'The super user can only be update by super user')
        if (change.userType === 'Normal' || change.userStatus === 'disable') mustNotBeLast(users, name)
        await users.update(name, change)
        return DONE
      },
    ],
    [
      RequestCode.AUTH_DELETE_USER,
      async request => {
        const name = usernameOf(request.command)
        if (users.record(name)?.userType === 'Super')
          mustBeSuper(users, request, 'The super user can only be update by super user')
        mustNotBeLast(users, name)
        await users.remove(name)
        return DONE
      },
    ],
    [RequestCode.AUTH_GET_USER, ({ command }) => userReply(users, usernameOf(command))],
    [
      RequestCode.AUTH_LIST_USER,
      ({ command }) => {
        const filter = optionalTextField(command, 'filter') ?? ''
        const found = [...users.users()].filter(([name]) => name.includes(filter))
        return listReply(found.map(([name, record]) => userInfo(name, record)))
      },
    ],
    [RequestCode.AUTH_CREATE_ACL, request => addPolicies(users, request)],
    [RequestCode.AUTH_UPDATE_ACL, request => addPolicies(users, request)],
    [RequestCode.AUTH_DELETE_ACL, request => removePolicies(users, request)],
    [
      RequestCode.AUTH_GET_ACL,
      ({ command }) => {
        const name = userOf(command.extFields['subject'])
        if (users.record(name) === undefined) throw refused('The subject is not exist.')
        return users.hasPolicies(name) ? jsonReply(aclInfo(name, users.policiesOf(name))) : DONE
      },
    ],
    [RequestCode.AUTH_LIST_ACL, ({ command }) => aclsReply(users, command)],
  ]
}

async function addPolicies(users: UserDirectory, request: RemotingRequest): Promise<Reply> {
  mustBeSuper(users, request, ONLY_SUPER_GRANTS)
  const { subject, policies } = bodyOf(decodeAcl(request.command.body))
  if (policies.length === 0) throw refused('The body of acl is null')
  const checked = policies.map((policy): Policy => {
    const policyType = policyTypeOf(policy.policyType)
    if (policyType === undefined) throw refused('The policy type is illegal.')
    if (policy.entries.length === 0) throw refused('The policy entries is empty.')
    const entries = policy.entries.map(entry => {
      const result = checkEntry(entry)
      if (typeof result === 'string') throw refused(result)
      return result
    })
    return { policyType, entries }
  })
  await users.addPolicies(userOf(subject || request.command.extFields['subject']), checked)
  return DONE
}

async function removePolicies(users: UserDirectory, request: RemotingRequest): Promise<Reply> {
  mustBeSuper(users, request, ONLY_SUPER_GRANTS)
  const { extFields } = request.command
  const name = userOf(extFields['subject'])
  const type = policyTypeOf(extFields['policyType'])
  if (type === undefined) throw refused('The policy type is illegal.')
  const written = extFields['resource'] || undefined
  const resource = written === undefined ? undefined : parseResource(written)
  if (written !== undefined && resource === undefined) throw refused('The resource is null.')
  await users.removePolicies(name, type, resource && formatResource(resource))
  return DONE
}

function userReply(users: UserDirectory, name: string): Reply {
  const record = users.record(name)
  return record === undefined ? DONE : jsonReply(userInfo(name, record))
}

function aclsReply(users: UserDirectory, command: RemotingCommand): Reply {
  const subjectFilter = optionalTextField(command, 'subjectFilter') ?? ''
  const resourceFilter = optionalTextField(command, 'resourceFilter') ?? ''
  const found: JsonInput[] = []
  for (const [name] of users.users()) {
    if (!`User:${name}`.includes(subjectFilter)) continue
    const policies = users
      .policiesOf(name)
      .map(policy => ({
        ...policy,
        entries: policy.entries.filter(entry => entry.resource.includes(resourceFilter)),
      }))
      .filter(policy => policy.entries.length > 0)
    if (policies.length > 0) found.push(aclInfo(name, policies))
  }
  return listReply(found)
}

/** An empty list is no body, as the official broker has it. */
function listReply(items: readonly JsonInput[]): Reply {
  return items.length > 0 ? jsonReply(items) : DONE
}

function userInfo(username: string, { userType, userStatus }: UserRecord): JsonInput {
  return { username, userType, userStatus }
}

function aclInfo(name: string, policies: readonly Policy[]): JsonInput {
  // As the official broker: no member where there are no addresses.
  const entryInfo = ({ sourceIps, ...entry }: PolicyEntry) =>
    asJson(sourceIps.length > 0 ? { ...entry, sourceIps } : entry)
  return {
    subject: `User:${name}`,
    policies: policies.map(({ entries, policyType }) => ({ policyType, entries: entries.map(entryInfo) })),
  }
}

function usernameOf(command: RemotingCommand): string {
  const name = command.extFields['username']
  if (!name?.trim()) throw new Refusal(ResponseCode.INVALID_PARAMETER, 'The username is blank')
  return name
}

/** The user that `User:name` means. */
function userOf(subject: string | undefined): string {
  const match = /^user:(.+)$/i.exec(subject ?? '')
  if (match === null) throw refused('The subject type is null.')
  return match[1]
}

function changeOf(command: RemotingCommand): UserChange {
  const info: UserInfo = bodyOf(decodeUser(command.body))
  return {
    password: info.password || undefined,
    userType: wordOf(['Super', 'Normal'], info.userType),
    userStatus: wordOf(['enable', 'disable'], info.userStatus),
  }
}

function wordOf<T extends string>(words: readonly T[], text: string): T | undefined {
  return words.find(word => word.toLowerCase() === text.toLowerCase())
}

const ONLY_SUPER_GRANTS = 'what users may do can only be changed by super user'

/** The guard has seen to it that the access key is the sender's own. */
function mustBeSuper(users: UserDirectory, { command }: RemotingRequest, remark: string): void {
  if (!users.find(command.extFields['AccessKey'] ?? '')?.isSuper) throw new Refusal(ResponseCode.SYSTEM_ERROR, remark)
}

function mustNotBeLast(users: UserDirectory, name: string): void {
  if (users.record(name)?.userType !== 'Super') return
  for (const [other, record] of users.users())
    if (other !== name && record.userType === 'Super' && record.userStatus === 'enable') return
  throw refused(`User:${name} is the last super user; create another one first`)
}

function refused(remark: string): Refusal {
  return new Refusal(ResponseCode.NO_PERMISSION, remark)
}
