// Three seconds instead of half an hour: nobody waits that long for a demo.
process.env['PAYMENT_MS'] ??= '3000'
const { decisions, orders, payments, unpaidOrders } = await import('./pipeline.js')
const { input, runDemo } = await import('../support/demo.js')

const now = Date.now()
await runDemo({
  pipeline: unpaidOrders,
  inputs: [
    input(orders, { id: 'first', amount: 10, at: now }),
    input(orders, { id: 'second', amount: 20, at: now }),
    input(payments, { order: 'second', at: now }),
  ],
  outputs: [decisions],
  resultCount: 2,
})
