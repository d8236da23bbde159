import { createSecretKey } from 'node:crypto'
import { MillraceError } from '@millrace/core'
import type { Account, Accounts } from './account.js'
import { type Action, type Decision, type Policy, type PolicyEntry, ruleBook } from './policy.js'
import { groupOf } from './resource.js'
import { type AddressMatch, parseWhitelistAddress } from './source-address.js'

/** One account of ACL 1.0. */
export interface PlainAccount {
  readonly accessKey: string
  readonly secretKey: string
  readonly isAdmin: boolean
  readonly trusts: AddressMatch
  readonly policies: readonly Policy[]
}

/** The file `plain_acl.yml`, read. */
export interface PlainAcl {
  readonly accounts: readonly PlainAccount[]
  /** The global white list. */
  readonly trusts: AddressMatch
}

const LENGTH_MIN = 6

/**
 * Reads ACL 1.0's YAML. Permissions become policies: named topics and groups first, the defaults where none is named;
 * who may send or receive may also ask about the topic, as 1.0 never checked that.
 * @throws MillraceError INVALID_CONFIG that names the file and what is wrong
 * @see RocketMQ 4.9 `PlainPermissionManager`, 5.x `AuthMigrator`
 */
export async function readPlainAcl(content: string, path: string): Promise<PlainAcl> {
  const { parse } = await import('yaml')
  const fail = (what: string, cause?: unknown): never => {
    throw new MillraceError('INVALID_CONFIG', `ACL file "${path}": ${what}`, { cause })
  }
  let document: unknown
  try {
    document = parse(content, { maxAliasCount: 0 })
  } catch (error) {
    return fail(`it is not YAML: ${(error as Error).message}`, error)
  }
  const root = (document ?? {}) as Readonly<Record<string, unknown>>
  const addressesOf = (value: unknown, where: string): AddressMatch => {
    const texts =
      value === undefined || value === null ? [] : Array.isArray(value) ? value.map(String) : [String(value)]
    const matches = texts.map(text => parseWhitelistAddress(text) ?? fail(`${where}: "${text}" is no address`))
    return host => matches.some(match => match(host))
  }
  const accounts = listOf(root['accounts']).map((item): PlainAccount => {
    const entry = item as Readonly<Record<string, unknown>>
    const accessKey = String(entry['accessKey'] ?? '')
    const secretKey = String(entry['secretKey'] ?? '')
    if (accessKey.length <= LENGTH_MIN || secretKey.length <= LENGTH_MIN)
      fail(`accessKey "${accessKey}" and its secretKey must both be longer than ${LENGTH_MIN} characters`)
    return {
      accessKey,
      secretKey,
      isAdmin: entry['admin'] === true || entry['admin'] === 'true',
      trusts: addressesOf(entry['whiteRemoteAddress'], `whiteRemoteAddress of "${accessKey}"`),
      policies: policiesOf(entry, text => fail(`"${accessKey}": ${text}`)),
    }
  })
  return { accounts, trusts: addressesOf(root['globalWhiteRemoteAddresses'], 'globalWhiteRemoteAddresses') }
}

/** The accounts of a file for the guard. */
export function plainAccounts(acl: PlainAcl): Accounts {
  const accounts = new Map(
    acl.accounts.map(({ accessKey, secretKey, isAdmin, trusts, policies }): [string, Account] => [
      accessKey,
      {
        name: accessKey,
        key: createSecretKey(secretKey, 'utf8'),
        isSuper: isAdmin,
        isEnabled: true,
        rules: ruleBook(policies),
        trusts,
      },
    ]),
  )
  return { find: name => accounts.get(name) }
}

function policiesOf(entry: Readonly<Record<string, unknown>>, fail: (what: string) => never): Policy[] {
  const named = (type: 'Topic' | 'Group', list: unknown): PolicyEntry[] =>
    listOf(list).map(item => {
      const [name, permission, ...rest] = String(item).split('=')
      if (permission === undefined || rest.length > 0) fail(`"${String(item)}" is not written as name=PERMISSION`)
      return entryOf(`${type}:${type === 'Group' ? groupOf(name.trim()) : name.trim()}`, permission, fail)
    })
  const standard = (type: 'Topic' | 'Group', value: unknown): PolicyEntry =>
    entryOf(`${type}:*`, value === undefined || value === null ? 'DENY' : String(value), fail)
  return [
    { policyType: 'Custom', entries: [...named('Topic', entry['topicPerms']), ...named('Group', entry['groupPerms'])] },
    {
      policyType: 'Default',
      entries: [standard('Topic', entry['defaultTopicPerm']), standard('Group', entry['defaultGroupPerm'])],
    },
  ]
}

const PERMISSIONS: Readonly<Record<string, { readonly actions: readonly Action[]; readonly decision: Decision }>> = {
  DENY: { actions: ['All'], decision: 'Deny' },
  PUB: { actions: ['Pub', 'Get', 'List'], decision: 'Allow' },
  SUB: { actions: ['Sub', 'Get', 'List'], decision: 'Allow' },
  'PUB|SUB': { actions: ['Pub', 'Sub', 'Get', 'List'], decision: 'Allow' },
  'SUB|PUB': { actions: ['Pub', 'Sub', 'Get', 'List'], decision: 'Allow' },
}

function entryOf(resource: string, permission: string, fail: (what: string) => never): PolicyEntry {
  const found = PERMISSIONS[permission.trim()]
  if (found === undefined) fail(`permission "${permission.trim()}" of ${resource} is not DENY, PUB, SUB or PUB|SUB`)
  return { resource, sourceIps: [], ...found }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
