import { receive } from '../actor/behavior.js'
import type { ActorRef, ActorSystem } from '../actor/types.js'
import { MillraceError } from '../errors.js'

const WITHIN_MS_DEFAULT = 3_000

interface Waiter<M> {
  readonly accept: (message: M) => boolean
  readonly resolve: (message: M) => void
}

/**
 * An actor that keeps what it is told, for assertions.
 *
 *     const probe = new TestProbe<string>(system, 'probe')
 *     greeter.tell({ replyTo: probe.ref })
 *     expect(await probe.next()).toBe('hello')
 */
export class TestProbe<M> {
  readonly ref: ActorRef<M>
  /** Everything told so far, oldest first. */
  readonly received: M[] = []
  readonly #system: ActorSystem
  readonly #waiters: Waiter<M>[] = []
  #taken = 0

  /** @throws MillraceError INVALID_ARGUMENT when `name` is taken. */
  constructor(system: ActorSystem, name: string) {
    this.#system = system
    this.ref = system.spawn<M>(
      name,
      receive(message => {
        this.received.push(message)
        this.#offer()
      }),
    )
  }

  /**
   * The next message after the one that the last call gave, whether it came already or not. Messages that `accept` refuses
   * are passed over. Under a simulation, await it by `runUntilSettled`.
   * @throws MillraceError TIMEOUT when there is none within `withinMs` milliseconds of the system's clock.
   */
  next(accept: (message: M) => boolean = () => true, withinMs: number = WITHIN_MS_DEFAULT): Promise<M> {
    return new Promise((resolve, reject) => {
      const cancel = this.#system.environment.scheduler.after(withinMs, () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
        const message = `probe "${this.ref.path}" was not told what it waits for within ${withinMs} ms; told so far: ${this.received.length} messages`
        reject(new MillraceError('TIMEOUT', message))
      })
      const waiter: Waiter<M> = {
        accept,
        resolve: message => {
          cancel()
          resolve(message)
        },
      }
      this.#waiters.push(waiter)
      this.#offer()
    })
  }

  #offer(): void {
    while (this.#taken < this.received.length) {
      const waiter = this.#waiters[0]
      if (!waiter) return
      const message = this.received[this.#taken++]!
      if (!waiter.accept(message)) continue
      this.#waiters.shift()
      waiter.resolve(message)
    }
  }
}
