import type { Cancel, Clock, MillraceError, Scheduler } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { CommitGuard } from '../../src/kv/commit-guard.js'

/** Time that moves when told to. */
function manualTime() {
  let now = 0
  let timers: { at: number; work: () => void }[] = []
  const clock: Clock = { now: () => now, monotonic: () => now }
  const scheduler: Scheduler = {
    after(delayMs, work): Cancel {
      const timer = { at: now + delayMs, work }
      timers.push(timer)
      return () => {
        timers = timers.filter(other => other !== timer)
      }
    },
    microtask: work => queueMicrotask(work),
    turn: work => queueMicrotask(work),
  }
  const advance = (ms: number) => {
    now += ms
    const due = timers.filter(timer => timer.at <= now)
    timers = timers.filter(timer => timer.at > now)
    for (const timer of due) timer.work()
  }
  return { clock, scheduler, advance, timerCount: () => timers.length }
}

function guardWith(isUsable = true) {
  const time = manualTime()
  const failures: MillraceError[] = []
  const guard = new CommitGuard(time.clock, time.scheduler, {
    path: 'kv',
    deadlineMs: 10_000,
    isUsable: () => isUsable,
    onFailure: error => failures.push(error),
  })
  return { ...time, guard, failures }
}

const NEVER = new Promise<boolean>(() => undefined)

describe('commit guard', () => {
  it('fails a commit that never answers, and all others under way, once', async () => {
    const { guard, advance, failures, timerCount } = guardWith()
    const stuck = guard.watch(NEVER)
    const other = guard.watch(new Promise(() => undefined))
    advance(9_000)
    expect(guard.failure).toBeUndefined()
    advance(1_000)
    await expect(stuck).rejects.toMatchObject({ code: 'DISK_FAILED' })
    await expect(other).rejects.toBe(guard.failure)
    await guard.idle()
    expect(failures).toEqual([guard.failure])
    expect(timerCount()).toBe(0)
  })

  it('lets a process that was stopped see that its commit had succeeded', async () => {
    const { guard, advance } = guardWith()
    let answer: (value: boolean) => void = () => undefined
    const written = guard.watch(new Promise<boolean>(resolve => (answer = resolve)))
    advance(3_600_000)
    answer(true)
    await written
    advance(3_600_000)
    expect(guard.failure).toBeUndefined()
  })

  it('gives calls with one native promise one promise', () => {
    const { guard } = guardWith()
    expect(guard.watch(NEVER)).toBe(guard.watch(NEVER))
  })

  it('takes a full disk for final when the environment is unusable after it', async () => {
    const full = Object.assign(new Error('no room'), { code: 28 })
    await expect(guardWith(true).guard.watch(Promise.reject(full))).rejects.toMatchObject({ code: 'DISK_FULL' })
    const broken = guardWith(false)
    await expect(broken.guard.watch(Promise.reject(full))).rejects.toMatchObject({ code: 'DISK_FAILED' })
    expect(broken.failures).toHaveLength(1)
  })
})
