import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Need, type Policy, type PolicyEntry, refusalOf, ruleBook } from '../../src/security/policy.js'
import { compareWidth, formatResource, parseResource } from '../../src/security/resource.js'
import { parseCidr, parseWhitelistAddress } from '../../src/security/source-address.js'

const HOST = '10.1.2.3'
const entry = (
  resource: string,
  actions: PolicyEntry['actions'],
  decision: PolicyEntry['decision'] = 'Allow',
  sourceIps: readonly string[] = [],
): PolicyEntry => ({ resource, actions, sourceIps, decision })
const custom = (...entries: PolicyEntry[]): Policy[] => [{ policyType: 'Custom', entries }]
const PUB_ORDERS: Need = { type: 'Topic', name: 'orders', actions: ['Pub'] }
const may = (policies: readonly Policy[], need: Need = PUB_ORDERS, host = HOST): boolean =>
  refusalOf(ruleBook(policies), need, host) === undefined

describe('what policies allow', () => {
  it('refuses what nothing allows', () => {
    expect(may([])).toBe(false)
    expect(may(custom(entry('Topic:orders', ['Sub']), entry('Group:orders', ['All'])))).toBe(false)
  })

  it('lets the narrowest entry decide: exact before prefix before any, longer prefix before shorter', () => {
    expect(may(custom(entry('Topic:*', ['Pub'], 'Deny'), entry('Topic:ord*', ['Pub'])))).toBe(true)
    expect(may(custom(entry('Topic:ord*', ['Pub']), entry('Topic:orde*', ['Pub'], 'Deny')))).toBe(false)
    expect(may(custom(entry('Topic:orders', ['Pub']), entry('Topic:orde*', ['Pub'], 'Deny')))).toBe(true)
    expect(may(custom(entry('*', ['All']), entry('Topic:*', ['Pub'], 'Deny')))).toBe(false)
  })

  it('takes Default entries only where no Custom entry matches', () => {
    const standard: Policy = { policyType: 'Default', entries: [entry('Topic:orders', ['All'], 'Deny')] }
    expect(may([standard, ...custom(entry('Topic:*', ['Pub']))])).toBe(true)
    expect(may([standard, ...custom(entry('Topic:*', ['Sub']))])).toBe(false)
  })

  it('holds an entry to its addresses', () => {
    const policies = custom(entry('Topic:orders', ['Pub'], 'Allow', ['10.0.0.0/8', '192.168.1.7', 'fd00::/8']))
    for (const host of [HOST, '192.168.1.7', '::ffff:10.9.9.9', 'fd12::1'])
      expect([host, may(policies, PUB_ORDERS, host)]).toEqual([host, true])
    for (const host of ['11.0.0.1', '192.168.1.8', 'fe80::1', '', 'orders'])
      expect([host, may(policies, PUB_ORDERS, host)]).toEqual([host, false])
  })

  const patterns = fc.constantFrom('*', 'Topic:*', 'Topic:o*', 'Topic:ord*', 'Topic:orders')
  const actions = fc.uniqueArray(fc.constantFrom('All', 'Pub', 'Sub', 'Get'), { minLength: 1 })
  const entries = fc.record({
    resource: patterns,
    actions,
    sourceIps: fc.constantFrom([], ['10.0.0.0/8'], ['1.2.3.4']),
    decision: fc.constantFrom('Allow', 'Deny'),
  }) as fc.Arbitrary<PolicyEntry>

  it('never lets entries that are as wide or wider, in whatever number and order, allow what an entry denies', () => {
    fc.assert(
      fc.property(patterns, fc.array(entries, { maxLength: 8 }), fc.nat(8), (denied, others, at) => {
        const deny = entry(denied, ['Pub'], 'Deny')
        const wide = others.filter(other => compareWidth(parseResource(other.resource)!, parseResource(denied)!) >= 0)
        const all = [...wide.slice(0, at), deny, ...wide.slice(at)]
        expect(may([...custom(...all), { policyType: 'Default', entries: others }])).toBe(false)
      }),
    )
  })

  it('never allows anything that no entry allows', () => {
    fc.assert(
      fc.property(fc.array(entries, { maxLength: 8 }), list => {
        const denials = list.map(each => ({ ...each, decision: 'Deny' as const }))
        expect(may(custom(...denials))).toBe(false)
      }),
    )
  })
})

it('writes resources as it reads them', () => {
  for (const text of ['*', 'Topic:orders', 'Topic:ord*', 'Group:*', 'Cluster:DefaultCluster'])
    expect(formatResource(parseResource(text)!)).toBe(text)
  for (const text of ['', 'orders', 'Topic:', 'Queue:x']) expect(parseResource(text)).toBeUndefined()
})

describe('addresses', () => {
  it('reads CIDR ranges and nothing else', () => {
    expect(parseCidr('10.0.0.0/8')?.('10.255.0.1')).toBe(true)
    expect(parseCidr('10.0.0.0/8')?.('11.0.0.1')).toBe(false)
    expect(parseCidr('::1')?.('::1')).toBe(true)
    expect(parseCidr('2001:db8::/32')?.('2001:db8:1::5')).toBe(true)
    for (const bad of ['', '10.0.0', '10.0.0.256', '10.0.0.0/33', '1::2::3', 'host', '10.0.0.0/8/8', '12345::'])
      expect([bad, parseCidr(bad)]).toEqual([bad, undefined])
  })

  it.each([
    ['192.168.*.*', ['192.168.0.1', '192.168.255.9'], ['192.169.0.1']],
    ['192.168.1.1-20', ['192.168.1.1', '192.168.1.20'], ['192.168.1.21']],
    ['10.0.0.{3,5}', ['10.0.0.3', '10.0.0.5'], ['10.0.0.4']],
    ['*', ['1.2.3.4', '::1'], []],
    ['', [], ['1.2.3.4']],
  ])('reads the white list entry %j', (text, inside, outside) => {
    const match = parseWhitelistAddress(text)!
    for (const host of inside) expect([host, match(host)]).toEqual([host, true])
    for (const host of outside) expect([host, match(host)]).toEqual([host, false])
  })

  it('refuses white list entries that mean nothing', () => {
    for (const bad of ['192.168', 'a.b.c.d', '1.2.3.{4', '1.2.3.4-']) expect(parseWhitelistAddress(bad)).toBeUndefined()
  })
})
