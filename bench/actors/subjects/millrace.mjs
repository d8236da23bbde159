import { createActorSystem, receive, receiveBatch } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'

const ASK_DEADLINE_MS = 10_000

/** Handles one message at a time. */
export function millrace() {
  const system = createActorSystem('bench', nodeEnvironment())
  let sum = 0
  const adder = system.spawn(
    'adder',
    receive(message => {
      sum += message.value
    }),
  )
  return {
    tell: value => adder.tell({ value }),
    sum: () => sum,
    ...asking(system),
    playPingPong: count => playPingPong(system, count),
    close: () => system.stop(),
  }
}

/** Takes what waits as one array. */
export function millraceBatch() {
  const system = createActorSystem('bench', nodeEnvironment())
  let sum = 0
  const adder = system.spawn(
    'adder',
    receiveBatch(batch => {
      for (const message of batch) sum += message.value
    }),
  )
  return { tell: value => adder.tell({ value }), sum: () => sum, close: () => system.stop() }
}

/** Virtual actors, each active with one number of state. */
export async function millraceIdle(count) {
  const system = createActorSystem('bench', nodeEnvironment())
  const family = system.virtual(
    'idle',
    () => {
      let sum = 0
      return receive(message => {
        sum = Math.max(sum, message)
      })
    },
    { idleMs: 3_600_000 },
  )
  for (let i = 0; i < count; i++) {
    family.get(`key-${i}`).tell(i)
    if (i % 4_096 === 0) await new Promise(setImmediate)
  }
  await new Promise(setImmediate)
  return { activeCount: family.activeCount, keep: family }
}

function asking(system) {
  const answerer = system.spawn(
    'answerer',
    receive(message => message.reply.tell(message.value + 1)),
  )
  return { ask: value => answerer.ask(reply => ({ value, reply }), ASK_DEADLINE_MS) }
}

function playPingPong(system, count) {
  return new Promise(resolve => {
    let left = count
    const ping = system.spawn(
      `ping-${count}-${Math.random()}`,
      receive((message, context) => {
        if (--left > 0) message.from.tell({ from: context.self })
        else {
          resolve()
          context.stop()
        }
      }),
    )
    const pong = system.spawn(
      `pong-${count}-${Math.random()}`,
      receive((message, context) => message.from.tell({ from: context.self })),
    )
    pong.tell({ from: ping })
  })
}
