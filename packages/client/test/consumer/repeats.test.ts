import { describe, expect, it } from 'vitest'
import type { ReceivedMessage } from '../../src/consumer/received-message.js'
import { Repeats } from '../../src/consumer/repeats.js'

const message = (properties: Readonly<Record<string, string>>): ReceivedMessage =>
  ({ properties, mayHaveProperty: (name: string) => name in properties }) as ReceivedMessage
const output = (task: string, sequence: number, more: Readonly<Record<string, string>> = {}): ReceivedMessage =>
  message({ 'mr.pipeline': 'p', 'mr.task': task, 'mr.epoch': '1', 'mr.seq': String(sequence), ...more })

describe('repeats', () => {
  it('are what a task has numbered no higher than before', () => {
    const repeats = new Repeats()
    const seen = [1, 2, 4, 2, 4, 5].map(sequence => repeats.isRepeat(output('a', sequence)))
    expect(seen).toEqual([false, false, false, true, true, false])
    expect(repeats.isRepeat(output('b', 1))).toBe(false)
  })

  it('are never messages of others, delayed ones, or retries', () => {
    const repeats = new Repeats()
    expect(repeats.isRepeat(output('a', 9))).toBe(false)
    expect(repeats.isRepeat(message({ KEYS: 'k' }))).toBe(false)
    expect(repeats.isRepeat(output('a', 3, { 'mr.delayed': '1' }))).toBe(false)
    expect(repeats.isRepeat(output('a', 3, { RETRY_TOPIC: 't' }))).toBe(false)
  })
})
