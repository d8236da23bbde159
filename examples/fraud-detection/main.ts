import { input, runDemo } from '../support/demo.js'
import { alerts, followUps, fraudDetection, type Payment, payments } from './pipeline.js'

const now = Date.now()
const sent: Payment[] = [
  { card: 'alice', amount: 12, at: now },
  { card: 'mallory', amount: 400, at: now + 1 },
  { card: 'mallory', amount: 350, at: now + 2 },
  { card: 'alice', amount: 7, at: now + 3 },
  { card: 'mallory', amount: 500, at: now + 4 },
]

await runDemo({
  pipeline: fraudDetection,
  inputs: sent.map(payment => input(payments, payment)),
  outputs: [alerts, followUps],
  resultCount: 2,
})
