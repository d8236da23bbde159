import { describe, expect, it } from 'vitest'
import { WatermarkTracker } from '../../src/stream/watermark.js'

const NEVER = Number.NEGATIVE_INFINITY

describe('the watermark of a task', () => {
  it('is the least of its inputs', () => {
    const tracker = new WatermarkTracker([NEVER, NEVER])
    tracker.advance(0, 10)
    expect(tracker.watermark).toBe(NEVER)
    tracker.advance(1, 5)
    expect(tracker.watermark).toBe(5)
    tracker.advance(1, 20)
    expect(tracker.watermark).toBe(10)
  })

  it('does not go back, neither by an input nor by one that comes back from idleness', () => {
    const tracker = new WatermarkTracker([NEVER, NEVER])
    tracker.advance(0, 10)
    tracker.advance(0, 4)
    tracker.setIdle(1)
    expect(tracker.watermark).toBe(10)
    tracker.advance(1, 3)
    tracker.advance(0, 30)
    expect(tracker.watermark).toBe(10)
    tracker.advance(1, 25)
    expect(tracker.watermark).toBe(25)
  })

  it('is the furthest when all are idle', () => {
    const tracker = new WatermarkTracker([7, 9])
    tracker.setIdle(1)
    expect(tracker.watermark).toBe(7)
    tracker.setIdle(0)
    expect(tracker.watermark).toBe(9)
  })

  it('catches up with its inputs when it is restored from before them', () => {
    const tracker = new WatermarkTracker([40, 50], 6)
    expect(tracker.watermark).toBe(40)
    tracker.advance(0, 60)
    expect(tracker.watermark).toBe(50)
  })
})
