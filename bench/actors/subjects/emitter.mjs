import { EventEmitter } from 'node:events'

/** No queue, no isolation, no supervision: the floor that a synchronous call through a name costs. */
export function emitter() {
  let sum = 0
  const adder = new EventEmitter()
  adder.on('message', message => {
    sum += message.value
  })
  const answerer = new EventEmitter()
  answerer.on('message', message => message.reply(message.value + 1))
  return {
    tell: value => adder.emit('message', { value }),
    sum: () => sum,
    ask: value => new Promise(reply => answerer.emit('message', { value, reply })),
    close: () => {},
  }
}

export async function emitterIdle(count) {
  const emitters = []
  for (let i = 0; i < count; i++) {
    let sum = 0
    const one = new EventEmitter()
    one.on('message', message => {
      sum = Math.max(sum, message)
    })
    one.emit('message', i)
    emitters.push(one)
  }
  return { activeCount: emitters.length, keep: emitters }
}
