import { compareWidth, covers, formatResource, parseResource, type Resource, type ResourceType } from './resource.js'
import { type AddressMatch, parseCidr } from './source-address.js'

export type Action = 'All' | 'Pub' | 'Sub' | 'Create' | 'Update' | 'Delete' | 'Get' | 'List'
export type Decision = 'Allow' | 'Deny'
/** Entries of `Default` count only where no `Custom` entry matches. */
export type PolicyType = 'Custom' | 'Default'

const ACTIONS: readonly Action[] = ['All', 'Pub', 'Sub', 'Create', 'Update', 'Delete', 'Get', 'List']

/** One rule as it is stored and sent: plain data. */
export interface PolicyEntry {
  readonly resource: string
  readonly actions: readonly Action[]
  /** IP addresses and CIDR ranges it holds for; none means everywhere. */
  readonly sourceIps: readonly string[]
  readonly decision: Decision
}

export interface Policy {
  readonly policyType: PolicyType
  readonly entries: readonly PolicyEntry[]
}

/** Something a request does to one topic, group or cluster. Any one of the actions is enough. */
export interface Need {
  readonly type: ResourceType
  readonly name: string
  readonly actions: readonly Action[]
}

/** An entry ready to be matched. */
export interface Rule {
  readonly resource: Resource
  readonly actions: readonly Action[]
  readonly sources: readonly AddressMatch[]
  readonly decision: Decision
}

/** The rules of one user. */
export interface RuleBook {
  readonly custom: readonly Rule[]
  readonly standard: readonly Rule[]
}

export function ruleBook(policies: readonly Policy[]): RuleBook {
  const rulesOf = (type: PolicyType): Rule[] =>
    policies.filter(policy => policy.policyType === type).flatMap(policy => policy.entries.map(ruleOf))
  return { custom: rulesOf('Custom'), standard: rulesOf('Default') }
}

function ruleOf(entry: PolicyEntry): Rule {
  const resource = parseResource(entry.resource)
  const sources = entry.sourceIps.map(parseCidr)
  // Entries are checked before they are stored; what cannot be read any more must not open anything.
  if (resource === undefined || sources.includes(undefined))
    return { resource: { type: 'Any', pattern: 'any', name: '' }, actions: ['All'], sources: [], decision: 'Deny' }
  return { resource, actions: entry.actions, sources: sources as AddressMatch[], decision: entry.decision }
}

/**
 * May somebody under these rules do that, from that address? Undefined means yes, otherwise why not. The narrowest
 * matching entry decides, a denial before a permission that is as narrow; without a match the answer is no.
 * behaviour.md §19, RocketMQ `AclAuthorizationHandler`
 */
export function refusalOf(book: RuleBook, need: Need, host: string): string | undefined {
  const rule = narrowest(book.custom, need, host) ?? narrowest(book.standard, need, host)
  if (rule === undefined) return 'no matched policies.'
  return rule.decision === 'Deny' ? 'the decision is deny.' : undefined
}

function narrowest(rules: readonly Rule[], need: Need, host: string): Rule | undefined {
  let best: Rule | undefined
  for (const rule of rules) {
    if (!covers(rule.resource, need.type, need.name) || !isAbout(rule, need)) continue
    if (rule.sources.length > 0 && !rule.sources.some(matches => matches(host))) continue
    const width = best === undefined ? -1 : compareWidth(rule.resource, best.resource)
    if (width < 0 || (width === 0 && rule.decision === 'Deny')) best = rule
  }
  return best
}

function isAbout(rule: Rule, need: Need): boolean {
  for (const action of rule.actions) if (action === 'All' || need.actions.includes(action)) return true
  return false
}

/** Reads a policy type; none means Custom. Undefined for a word that is none. */
export function policyTypeOf(text: string | undefined): PolicyType | undefined {
  if (text === undefined || text === '') return 'Custom'
  return (['Custom', 'Default'] as const).find(type => type.toLowerCase() === text.toLowerCase())
}

/** An entry as it will be stored, or what is wrong with it, in RocketMQ's words. */
export function checkEntry(entry: {
  readonly resource: string
  readonly actions: readonly string[]
  readonly sourceIps: readonly string[]
  readonly decision: string
}): PolicyEntry | string {
  const resource = parseResource(entry.resource)
  if (resource === undefined) return 'The resource is null.'
  const actions = entry.actions.flatMap(
    text => ACTIONS.find(action => action.toLowerCase() === text.trim().toLowerCase()) ?? [],
  )
  if (entry.actions.some(text => text.trim().toLowerCase() === 'any')) return 'The actions can not be Any.'
  if (actions.length === 0) return 'The actions is empty.'
  for (const source of entry.sourceIps) {
    if (source.trim() === '') return 'The source ip is empty.'
    if (parseCidr(source) === undefined) return 'The source ip is invalid.'
  }
  const decision = (['Allow', 'Deny'] as const).find(word => word.toLowerCase() === entry.decision.toLowerCase())
  if (decision === undefined) return 'The decision is null or illegal.'
  return { resource: formatResource(resource), actions, sourceIps: entry.sourceIps, decision }
}

/** `added` laid over `policies`: its entries replace those for the same resources. RocketMQ `Acl#updatePolicy` */
export function mergePolicies(policies: readonly Policy[], added: readonly Policy[]): Policy[] {
  return (['Custom', 'Default'] as const).flatMap(policyType => {
    const entriesOf = (from: readonly Policy[]): PolicyEntry[] =>
      from.filter(policy => policy.policyType === policyType).flatMap(policy => policy.entries)
    const fresh = entriesOf(added)
    const replaced = new Set(fresh.map(entry => entry.resource))
    const entries = [...entriesOf(policies).filter(entry => !replaced.has(entry.resource)), ...fresh]
    return entries.length > 0 ? [{ policyType, entries }] : []
  })
}

/** Without the entry for a resource; policies that become empty are left out. */
export function withoutEntry(policies: readonly Policy[], type: PolicyType, resource: string): Policy[] {
  return policies
    .map(policy =>
      policy.policyType === type
        ? { ...policy, entries: policy.entries.filter(entry => entry.resource !== resource) }
        : policy,
    )
    .filter(policy => policy.entries.length > 0)
}
