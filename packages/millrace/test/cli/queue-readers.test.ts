import type { Assignments, PullResult, ReceivedMessage } from '@millrace/client'
import { type MessageQueue, MillraceError } from '@millrace/core'
import { describe, expect, it } from 'vitest'
import { QueueReaders } from '../../src/cli/queue-readers.js'

const queue = (queueId: number): MessageQueue => ({ topic: 't', brokerName: 'b', queueId })

/** A group member over queues that hold `lengths[id]` messages each, and two messages to a pull. */
function member(lengths: readonly number[], failures: (Error | undefined)[] = []) {
  const committed = new Map<number, number>()
  const pull = async (
    { queueId }: MessageQueue,
    offset: number,
    options: { signal?: AbortSignal },
  ): Promise<PullResult> => {
    const failure = failures.shift()
    if (failure) throw failure
    const maxOffset = lengths[queueId]
    const nextOffset = Math.min(offset + 2, maxOffset)
    if (offset === maxOffset)
      await new Promise((_, reject) => options.signal?.addEventListener('abort', () => reject(new Error('aborted'))))
    const messages = Array.from({ length: nextOffset - offset }, (_, index) => ({ queueOffset: offset + index }))
    const rest = { status: 'found', minOffset: 0, maxOffset, nextOffset, suggestedBrokerId: 0 } as const
    return { ...rest, messages: messages as ReceivedMessage[] }
  }
  const assignments = {
    pull,
    offsets: { max: async ({ queueId }: MessageQueue) => lengths[queueId] },
    commit: async ({ queueId }: MessageQueue, offset: number) => void committed.set(queueId, offset),
  } as unknown as Assignments
  return { assignments, committed }
}

function read(
  lengths: readonly number[],
  options: { isFollowing: boolean; takeMax?: number; failures?: (Error | undefined)[] },
) {
  const { assignments, committed } = member(lengths, options.failures)
  const seen: number[] = []
  let left = options.takeMax ?? Number.POSITIVE_INFINITY
  const stop = new AbortController()
  const readers = new QueueReaders({
    isFollowing: options.isFollowing,
    signal: stop.signal,
    start: async () => 0,
    onMessages: (messages, done) => {
      const taken = messages.slice(0, left)
      seen.push(...taken.map(({ queueOffset }) => queueOffset))
      left -= taken.length
      if (left === 0) done()
      return taken.length
    },
    isCommitting: true,
  })
  readers.assigned(lengths.map((_, queueId) => queue(queueId)))
  return { seen, committed, stop, readers, running: readers.run(assignments) }
}

describe('QueueReaders', () => {
  it('reads each queue to its end and ends, having stored how far it got', async () => {
    const { seen, committed, running } = read([3, 0, 2], { isFollowing: false })
    await running
    expect(seen.toSorted()).toEqual([0, 0, 1, 1, 2])
    expect([...committed]).toEqual(
      expect.arrayContaining([
        [0, 3],
        [2, 2],
      ]),
    )
  })

  it('takes no more than wanted and stores just that', async () => {
    const { seen, committed, running } = read([9], { isFollowing: true, takeMax: 3 })
    await running
    expect(seen).toEqual([0, 1, 2])
    expect(committed.get(0)).toBe(3)
  })

  it('waits for more until it is stopped', async () => {
    const { seen, stop, running } = read([2], { isFollowing: true })
    await expect.poll(() => seen).toEqual([0, 1])
    stop.abort()
    await running
  })

  it('stops reading a queue that another member got', async () => {
    const { readers, seen, stop, running } = read([2, 2], { isFollowing: true })
    await expect.poll(() => seen.length).toBe(4)
    readers.revoked([queue(0), queue(1)])
    stop.abort()
    await running
  })

  it('tries again after a failure that may pass, and fails on others', async () => {
    const lost = new MillraceError('CONNECTION_LOST', 'gone')
    const again = read([1], { isFollowing: true, takeMax: 1, failures: [lost] })
    await again.running
    expect(again.seen).toEqual([0])
    const refused = read([1], { isFollowing: true, failures: [new MillraceError('REQUEST_FAILED', 'no')] })
    await expect(refused.running).rejects.toThrow('no')
  })
})
