import { assign, createActor, createMachine, fromTransition } from 'xstate'

const adding = () =>
  createMachine({
    context: { sum: 0 },
    on: { add: { actions: assign({ sum: ({ context, event }) => context.sum + event.value }) } },
  })

/** A machine that keeps its sum by `assign`. It has no ask; a reply function in the event stands in for one. */
export function xstateMachine() {
  const adder = createActor(adding()).start()
  const answerer = createActor(
    createMachine({ on: { ask: { actions: ({ event }) => event.reply(event.value + 1) } } }),
  ).start()
  return {
    tell: value => adder.send({ type: 'add', value }),
    sum: () => adder.getSnapshot().context.sum,
    ask: value => new Promise(reply => answerer.send({ type: 'ask', value, reply })),
    playPingPong: count =>
      playPingPong(count, handle => createMachine({ on: { ball: { actions: ({ event }) => handle(event) } } })),
    close: () => {
      adder.stop()
      answerer.stop()
    },
  }
}

/** The cheapest actor logic that it has. */
export function xstateTransition() {
  const adder = createActor(fromTransition((state, event) => ({ sum: state.sum + event.value }), { sum: 0 })).start()
  const answerer = createActor(
    fromTransition((state, event) => {
      // Stopping comes as an event too.
      if (event.type === 'ask') event.reply(event.value + 1)
      return state
    }, {}),
  ).start()
  return {
    tell: value => adder.send({ type: 'add', value }),
    sum: () => adder.getSnapshot().context.sum,
    ask: value => new Promise(reply => answerer.send({ type: 'ask', value, reply })),
    playPingPong: count =>
      playPingPong(count, handle =>
        fromTransition((state, event) => {
          handle(event)
          return state
        }, {}),
      ),
    close: () => {
      adder.stop()
      answerer.stop()
    },
  }
}

export async function xstateIdle(count) {
  const machine = adding()
  const actors = []
  for (let i = 0; i < count; i++) {
    const actor = createActor(machine).start()
    actor.send({ type: 'add', value: i })
    actors.push(actor)
  }
  return { activeCount: actors.length, keep: actors }
}

function playPingPong(count, logicOf) {
  return new Promise(resolve => {
    let left = count
    const ping = createActor(
      logicOf(() => {
        if (--left > 0) pong.send({ type: 'ball' })
        else resolve()
      }),
    ).start()
    const pong = createActor(logicOf(() => ping.send({ type: 'ball' }))).start()
    pong.send({ type: 'ball' })
  })
}
