import { Deferred, Effect, Fiber, Queue } from 'effect'

/** A fiber that takes one message at a time, as an actor does. */
export function effectTake() {
  let sum = 0
  const adder = consume(Queue.take, message => {
    sum += message.value
  })
  const answerer = consume(Queue.take, message => {
    Deferred.doneUnsafe(message.reply, Effect.succeed(message.value + 1))
  })
  return {
    tell: value => Queue.offerUnsafe(adder.queue, { value }),
    sum: () => sum,
    ask: value => {
      const reply = Deferred.makeUnsafe()
      Queue.offerUnsafe(answerer.queue, { value, reply })
      return Effect.runPromise(Deferred.await(reply))
    },
    playPingPong: count =>
      new Promise(resolve => {
        let left = count
        const ping = consume(Queue.take, message => {
          if (--left > 0) Queue.offerUnsafe(message.from, { from: ping.queue })
          else resolve()
        })
        const pong = consume(Queue.take, message => Queue.offerUnsafe(message.from, { from: pong.queue }))
        Queue.offerUnsafe(pong.queue, { from: ping.queue })
      }),
    close: async () => {
      await adder.close()
      await answerer.close()
    },
  }
}

/** A fiber that takes all that waits at once. */
export function effectTakeAll() {
  let sum = 0
  const adder = consume(Queue.takeAll, batch => {
    for (const message of batch) sum += message.value
  })
  return { tell: value => Queue.offerUnsafe(adder.queue, { value }), sum: () => sum, close: adder.close }
}

export async function effectIdle(count) {
  const consumers = []
  for (let i = 0; i < count; i++) {
    let sum = 0
    const consumer = consume(Queue.take, message => {
      sum = Math.max(sum, message)
    })
    Queue.offerUnsafe(consumer.queue, i)
    consumers.push(consumer)
    if (i % 1_000 === 0) await new Promise(setImmediate)
  }
  await new Promise(resolve => setTimeout(resolve, 200))
  return { activeCount: consumers.length, keep: consumers }
}

function consume(take, handle) {
  const queue = Effect.runSync(Queue.unbounded())
  const fiber = Effect.runFork(
    Effect.gen(function* () {
      for (;;) handle(yield* take(queue))
    }),
  )
  return { queue, close: () => Effect.runPromise(Fiber.interrupt(fiber)) }
}
