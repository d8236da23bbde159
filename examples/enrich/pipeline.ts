import { json, pipeline, topic } from 'millrace'

export interface Visit {
  readonly customer: number
  readonly page: string
}

export interface Customer {
  readonly id: number
  readonly name: string
  readonly country: string
}

export interface Country {
  readonly code: string
  readonly currency: string
}

export const visits = topic('visits', { value: json<Visit>() })
export const customers = topic('customers', { value: json<Customer | null>(), key: customer => customer?.id ?? 0 })
export const countries = topic('countries', { value: json<Country>(), key: (country: Country) => country.code })
export const enriched = topic('enriched-visits', {
  value: json<Visit & { readonly name: string; readonly currency: string }>(),
})

/** Each visit with what is known of its customer then; countries are few, so that every task holds them all. */
export const enrich = pipeline('enrich', source =>
  source(visits)
    .keyBy(visit => visit.customer, { name: 'by-customer' })
    .leftJoin(source.table(customers, { name: 'customers' }), (visit, customer) => ({ visit, customer }), {
      name: 'with-customer',
    })
    .leftJoinGlobal(
      source.globalTable(countries),
      ({ customer }) => customer?.country,
      ({ visit, customer }, country) => ({
        ...visit,
        name: customer?.name ?? 'a stranger',
        currency: country?.currency ?? 'EUR',
      }),
      { name: 'with-country' },
    )
    .to(enriched),
)
