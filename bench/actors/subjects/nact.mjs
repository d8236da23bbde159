import { dispatch, query, spawn, spawnStateless, start, stop } from 'nact'

const ASK_DEADLINE_MS = 10_000

/** Actors with state, as its guide shows them. */
export function nact() {
  const system = start()
  let sum = 0
  const adder = spawn(
    system,
    (state = 0, message) => {
      sum = state + message.value
      return sum
    },
    'adder',
  )
  const answerer = spawnStateless(system, message => dispatch(message.sender, message.value + 1), 'answerer')
  return {
    tell: value => dispatch(adder, { value }),
    sum: () => sum,
    ask: value => query(answerer, sender => ({ value, sender }), ASK_DEADLINE_MS),
    playPingPong: count =>
      new Promise(resolve => {
        let left = count
        const ping = spawnStateless(system, (message, context) => {
          if (--left > 0) dispatch(message.from, { from: context.self })
          else resolve()
        })
        const pong = spawnStateless(system, (message, context) => dispatch(message.from, { from: context.self }))
        dispatch(pong, { from: ping })
      }),
    close: () => stop(system),
  }
}

export async function nactIdle(count) {
  const system = start()
  const refs = []
  for (let i = 0; i < count; i++) {
    const ref = spawn(system, (state = 0, message) => state + message, `key-${i}`)
    dispatch(ref, i)
    refs.push(ref)
    if (i % 1_000 === 0) await new Promise(setImmediate)
  }
  await new Promise(resolve => setTimeout(resolve, 200))
  return { activeCount: refs.length, keep: [system, refs] }
}
