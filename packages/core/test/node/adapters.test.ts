import { createServer, connect as dial, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { nodeEnvironment } from '../../src/node/index.js'
import { NodeConnection } from '../../src/node/node-connection.js'
import { rebuildWithOnread } from '../../src/node/node-onread.js'

const { clock, random, scheduler } = nodeEnvironment()

describe('node clock', () => {
  it('gives whole wall-clock milliseconds and a monotonic time', () => {
    expect(Number.isInteger(clock.now())).toBe(true)
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000)
    const first = clock.monotonic()
    expect(clock.monotonic()).toBeGreaterThanOrEqual(first)
  })
})

describe('node random', () => {
  it('stays within its bounds', () => {
    const drawn = Array.from({ length: 1_000 }, () => random.int(3))
    expect(new Set(drawn)).toEqual(new Set([0, 1, 2]))
    expect(random.next()).toBeLessThan(1)
  })
})

describe('node scheduler', () => {
  it('runs microtasks before the end of the turn, and that before timers that are not due', async () => {
    const log: string[] = []
    await new Promise<void>(resolve => {
      scheduler.after(20, () => {
        log.push('timer')
        resolve()
      })
      scheduler.turn(() => log.push('turn'))
      scheduler.microtask(() => log.push('microtask'))
      log.push('now')
    })
    expect(log).toEqual(['now', 'microtask', 'turn', 'timer'])
  })

  it('cancels timers, and does not fire at once for a delay past the limit of the engine', async () => {
    const log: string[] = []
    const cancel = scheduler.after(1, () => log.push('cancelled'))
    const cancelFar = scheduler.after(2 ** 32, () => log.push('far'))
    cancel()
    cancel()
    await new Promise<void>(resolve => scheduler.after(15, resolve))
    cancelFar()
    expect(log).toEqual([])
  })
})

describe('rebuildWithOnread', () => {
  it('leaves a socket alone whose internals look different', async () => {
    await using pair = await sockets()
    const { accepted } = pair
    const internals = accepted as unknown as { _handle: unknown }
    const handle = internals._handle
    internals._handle = { close: () => {} }
    expect(rebuildWithOnread(accepted, () => {})).toBeUndefined()
    internals._handle = handle
    expect(accepted.destroyed).toBe(false)
  })

  it('works with data events where there is no onread', async () => {
    await using pair = await sockets()
    const { accepted, dialled } = pair
    const received: Buffer[] = []
    let closes = 0
    const connection = new NodeConnection(accepted, true)
    dialled.write('before start,')
    await new Promise<void>(resolve => scheduler.after(10, resolve))
    connection.start({
      data: chunk => received.push(Buffer.from(chunk)),
      drain: () => {},
      close: () => {
        closes++
      },
    })
    dialled.end('after start')
    await until(() => closes === 1)
    expect(Buffer.concat(received).toString()).toBe('before start,after start')
  })
})

async function sockets() {
  let accepted: Socket | undefined
  const server = createServer({ pauseOnConnect: true }, socket => {
    accepted = socket
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const dialled = dial((server.address() as { port: number }).port, '127.0.0.1')
  await until(() => accepted !== undefined)
  return {
    accepted: accepted!,
    dialled,
    [Symbol.asyncDispose]: async () => {
      accepted!.destroy()
      dialled.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function until(fact: () => boolean): Promise<void> {
  const deadlineMs = clock.monotonic() + 5_000
  while (!fact()) {
    if (clock.monotonic() > deadlineMs) throw new Error('waited 5 s in vain')
    await new Promise<void>(resolve => scheduler.after(1, resolve))
  }
}
