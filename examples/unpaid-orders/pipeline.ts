import { json, pipeline, topic } from 'millrace'

export interface Order {
  readonly id: string
  readonly amount: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Payment {
  readonly order: string
  readonly at: number
}

export interface Decision {
  readonly order: string
  readonly outcome: 'paid' | 'cancelled'
}

/** Time to pay, by default RocketMQ's classic half an hour. */
export const PAYMENT_MS = Number(process.env['PAYMENT_MS'] ?? 30 * 60_000)

export const orders = topic('orders', { value: json<Order>(), key: (order: Order) => order.id })
export const payments = topic('order-payments', { value: json<Payment>(), key: (payment: Payment) => payment.order })
/** Each order comes back here when its time to pay is over. */
export const checks = topic('order-checks', { value: json<Order>(), key: (order: Order) => order.id })
export const decisions = topic('order-decisions', {
  value: json<Decision>(),
  key: (decision: Decision) => decision.order,
})

/** Orders that are not paid in time are cancelled: a delayed message asks, a table of the payments answers. */
export const unpaidOrders = pipeline('unpaid-orders', source => [
  source(orders).to(checks, { deliverAt: order => order.at + PAYMENT_MS }),
  source(checks)
    .keyBy(order => order.id)
    .leftJoin(
      source.table(payments, { name: 'paid' }),
      (order, payment): Decision => ({ order: order.id, outcome: payment === undefined ? 'cancelled' : 'paid' }),
      { name: 'decide' },
    )
    .to(decisions),
])
