import { count, json, pipeline, session, sum, topic } from 'millrace'

export interface Payment {
  readonly card: string
  readonly amount: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Alert {
  readonly card: string
  readonly payments: number
  readonly total: number
  /** Event time of the payment that raised it. */
  readonly at: number
}

export const payments = topic('payments', {
  value: json<Payment>(),
  key: (payment: Payment) => payment.card,
  eventTime: payment => payment.at,
  outOfOrder: '2 s',
})
export const alerts = topic('alerts', { value: json<Alert>(), key: (alert: Alert) => alert.card })
/** The same alerts again, when somebody should have looked at them. */
export const followUps = topic('follow-ups', { value: json<Alert>(), key: (alert: Alert) => alert.card })

export const PAYMENTS_SUSPICIOUS = 3
export const TOTAL_SUSPICIOUS = 1_000
export const FOLLOW_UP_MS = 5_000

/** Many payments of a card in one go, worth much together, raise one alert; five seconds later it is followed up. */
export const fraudDetection = pipeline('fraud-detection', source => {
  const suspicious = source(payments)
    .keyBy(payment => payment.card)
    .window(session('1 min', { grace: '2 s' }))
    .aggregate({ payments: count(), total: sum(payment => payment.amount) }, { name: 'bursts', emit: 'updates' })
    .filter(({ value }) => value.payments >= PAYMENTS_SUSPICIOUS && value.total >= TOTAL_SUSPICIOUS)
    .map(({ key, window, value }): Alert => ({ card: key, ...value, at: window.end - 60_000 }))
    // A burst goes on: only its first alert counts.
    .keyBy(alert => alert.card)
    .distinct({ within: '1 min', name: 'one-alert' })
  return [suspicious.to(alerts), suspicious.to(followUps, { deliverAt: alert => alert.at + FOLLOW_UP_MS })]
})
