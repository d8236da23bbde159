import { type Decoded, decodeObject, type Members, objectsOf, textOf, textsOf } from './fields.js'

/** A user as requests 3001–3005 carry it. Empty texts stand for what was left out. */
export interface UserInfo {
  readonly username: string
  readonly password: string
  /** Super or Normal. */
  readonly userType: string
  /** enable or disable. */
  readonly userStatus: string
}

export interface PolicyEntryInfo {
  /** `Topic:orders`, `Group:ord*`, `Cluster:*`, `*`. */
  readonly resource: string
  readonly actions: readonly string[]
  readonly sourceIps: readonly string[]
  /** Allow or Deny. */
  readonly decision: string
}

/** What a user may do, as requests 3006–3010 carry it. */
export interface AclInfo {
  /** `User:name`. */
  readonly subject: string
  readonly policies: readonly { readonly policyType: string; readonly entries: readonly PolicyEntryInfo[] }[]
}

function readUser(members: Members): UserInfo {
  return {
    username: textOf(members['username']),
    password: textOf(members['password']),
    userType: textOf(members['userType']),
    userStatus: textOf(members['userStatus']),
  }
}

function readAcl(members: Members): AclInfo {
  return {
    subject: textOf(members['subject']),
    policies: objectsOf(members['policies'], policy => ({
      policyType: textOf(policy['policyType']),
      entries: objectsOf(policy['entries'], entry => ({
        resource: textOf(entry['resource']),
        actions: textsOf(entry['actions']),
        sourceIps: textsOf(entry['sourceIps']),
        decision: textOf(entry['decision']),
      })),
    })),
  }
}

export function decodeUser(body: Uint8Array | undefined): Decoded<UserInfo> {
  return decodeObject(body, readUser)
}

export function decodeAcl(body: Uint8Array | undefined): Decoded<AclInfo> {
  return decodeObject(body, readAcl)
}
