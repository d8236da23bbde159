import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { count, sum } from '../../src/stream/aggregator.js'
import { pipeline } from '../../src/stream/builder.js'
import { json } from '../../src/stream/serde.js'
import type { KeyValue } from '../../src/stream/table.js'
import { topic } from '../../src/stream/topic.js'
import { testPipeline } from '../../src/testkit/pipeline-driver.js'

interface Order {
  readonly id: string
  readonly customer: number
  readonly amount: number
}
interface Customer {
  readonly id: number
  readonly city: string
}

const orders = topic('orders', { value: json<Order | null>(), key: order => order?.id ?? '' })
const customers = topic('customers', { value: json<Customer | null>(), key: customer => customer?.id ?? 0 })
const joined = topic('joined', { value: json<KeyValue<string, string | undefined>>() })
const totals = topic('totals', { value: json<KeyValue<string, { sum: number; n: number } | undefined>>() })

/** What stands in an output topic in the end. */
function standing<K, V>(records: readonly { readonly value: { readonly key: K; readonly value?: V } }[]): Map<K, V> {
  const rows = new Map<K, V>()
  for (const { value } of records)
    if (value.value === undefined) rows.delete(value.key)
    else rows.set(value.key, value.value)
  return rows
}

type Step =
  | { readonly kind: 'order'; readonly id: string; readonly customer: number; readonly amount: number }
  | { readonly kind: 'customer'; readonly id: number; readonly city: string }
  | { readonly kind: 'no order'; readonly id: string }
  | { readonly kind: 'no customer'; readonly id: number }
  | { readonly kind: 'crash' }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('order' as const),
    id: fc.constantFrom('o1', 'o2', 'o3', 'o4'),
    customer: fc.integer({ min: 1, max: 3 }),
    amount: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({
    kind: fc.constant('customer' as const),
    id: fc.integer({ min: 1, max: 3 }),
    city: fc.constantFrom('Rome', 'Oslo'),
  }),
  fc.record({ kind: fc.constant('no order' as const), id: fc.constantFrom('o1', 'o2', 'o3', 'o4') }),
  fc.record({ kind: fc.constant('no customer' as const), id: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('crash' as const) }),
)

describe('tables', () => {
  it.each([1, 3])(
    'joined by foreign key and grouped are what one loop computes, over %i queues and crashes',
    queues => {
      const cities = pipeline('cities', source => {
        const rows = source.table(orders).leftJoin(
          source.table(customers),
          order => order.customer,
          (order, customer) => ({ amount: order.amount, city: customer?.city ?? 'nowhere' }),
          { name: 'city' },
        )
        const grouped = rows
          .groupBy(({ city }) => city, { name: 'by-city' })
          .aggregate({ sum: sum(({ amount }) => amount), n: count() }, { name: 'totals' })
        return [
          rows
            .mapValues(({ amount, city }) => `${amount} ${city}`)
            .toStream()
            .to(joined),
          grouped.toStream().to(totals),
        ]
      })
      fc.assert(
        fc.property(fc.array(step, { maxLength: 25 }), steps => {
          const driver = testPipeline(cities, { queues, cacheEntriesMax: 2 })
          const placed = new Map<string, Order>()
          const known = new Map<number, Customer>()
          for (const what of steps) {
            if (what.kind === 'crash') driver.crash()
            else if (what.kind === 'order') {
              placed.set(what.id, what)
              driver.send(orders, what)
            } else if (what.kind === 'customer') {
              known.set(what.id, what)
              driver.send(customers, what)
            } else if (what.kind === 'no order') {
              placed.delete(what.id)
              driver.send(orders, null, { key: what.id })
            } else {
              known.delete(what.id)
              driver.send(customers, null, { key: what.id })
            }
          }
          const expected = new Map<string, string>()
          const sums = new Map<string, { sum: number; n: number }>()
          for (const { id, customer, amount } of placed.values()) {
            const city = known.get(customer)?.city ?? 'nowhere'
            expected.set(id, `${amount} ${city}`)
            const before = sums.get(city) ?? { sum: 0, n: 0 }
            sums.set(city, { sum: before.sum + amount, n: before.n + 1 })
          }
          expect(standing(driver.read(joined))).toEqual(expected)
          expect(standing(driver.read(totals))).toEqual(sums)
          expect(new Map(driver.store('totals').range())).toEqual(sums)
        }),
        { numRuns: 60 },
      )
    },
  )

  it('repartition the sides of a join whose queues differ', () => {
    const visits = topic('visits', { value: json<{ who: number }>() })
    const seen = topic('seen', { value: json<string>() })
    const enrich = pipeline('enrich', source =>
      source(visits)
        .keyBy(visit => visit.who, { name: 'by-who' })
        .join(source.table(customers), (visit, customer) => `${visit.who} ${customer.city}`, { name: 'enriched' })
        .to(seen),
    )
    const driver = testPipeline(enrich, { queues: { visits: 1, customers: 4 } })
    expect(driver.repartitionTopics).toEqual(['enrich-enriched-left-repartition'])
    for (const id of [1, 2, 3, 4, 5]) driver.send(customers, { id, city: `c${id}` })
    for (const who of [5, 3, 9, 1]) driver.send(visits, { who })
    expect(
      driver
        .read(seen)
        .map(({ value }) => value)
        .sort(),
    ).toEqual(['1 c1', '3 c3', '5 c5'])
  })

  it('answer queries by key, by range, and about their open windows', () => {
    const counted = pipeline('counted', source => source.table(customers, { name: 'people' }))
    const driver = testPipeline(counted, { queues: 2, cacheEntriesMax: 1 })
    for (const id of [3, 1, 2]) driver.send(customers, { id, city: `c${id}` })
    driver.commit()
    const people = driver.store<Customer>('people')
    expect(people.get(2)).toEqual({ id: 2, city: 'c2' })
    expect(people.get(7)).toBeUndefined()
    expect(
      people
        .range(1, 2)
        .map(([key]) => key)
        .sort(),
    ).toEqual([1, 2])
    expect(() => driver.store('nobody')).toThrow('has no store "nobody"; it has people')
  })
})
