import { describe, expect, it } from 'vitest'
import { firstOccurrence, nextOccurrence, parseRepetition } from '../../src/broker/timer/repetition.js'
import { occurrenceKey } from '../../src/broker/timer/timer-copies.js'

const MONDAY = Date.UTC(2026, 0, 5)
const HOUR = 3_600_000
const at = (time: number | undefined) => (time === undefined ? undefined : new Date(time).toISOString())

describe('a cron expression', () => {
  const every = (cron: string, zone?: string) =>
    parseRepetition({ MILLRACE_CRON: cron, ...(zone !== undefined && { MILLRACE_CRON_ZONE: zone }) })

  it('names the next match, never the one that has passed', () => {
    const workdays = every('0 9 * * MON-FRI')
    expect(at(firstOccurrence(workdays, undefined, MONDAY))).toBe('2026-01-05T09:00:00.000Z')
    expect(at(nextOccurrence(workdays, MONDAY + 9 * HOUR, MONDAY + 9 * HOUR + 5))).toBe('2026-01-06T09:00:00.000Z')
    expect(at(nextOccurrence(workdays, MONDAY + 105 * HOUR, MONDAY + 105 * HOUR))).toBe('2026-01-12T09:00:00.000Z')
  })

  it('takes a match at the very time asked for, and seconds', () => {
    expect(at(firstOccurrence(every('0 9 * * *'), MONDAY + 9 * HOUR, MONDAY))).toBe('2026-01-05T09:00:00.000Z')
    expect(at(firstOccurrence(every('*/10 * * * * *'), undefined, MONDAY + 1))).toBe('2026-01-05T00:00:10.000Z')
  })

  it('knows time zones and their summer time', () => {
    const berlin = every('30 2 * * *', 'Europe/Berlin')
    expect(at(firstOccurrence(berlin, undefined, Date.UTC(2026, 5, 1)))).toBe('2026-06-01T00:30:00.000Z')
    expect(at(firstOccurrence(berlin, undefined, MONDAY))).toBe('2026-01-05T01:30:00.000Z')
  })

  it('ends: with a date that never comes, and at its last time', () => {
    expect(firstOccurrence(every('0 0 30 2 *'), undefined, MONDAY)).toBeUndefined()
    const until = parseRepetition({ MILLRACE_CRON: '0 9 * * *', MILLRACE_REPEAT_UNTIL_MS: String(MONDAY + 9 * HOUR) })
    expect(at(firstOccurrence(until, undefined, MONDAY))).toBe('2026-01-05T09:00:00.000Z')
    expect(nextOccurrence(until, MONDAY + 9 * HOUR, MONDAY + 9 * HOUR)).toBeUndefined()
  })

  it.each([
    ['61 * * * *', undefined],
    ['soon', undefined],
    ['* * * * *', 'Mars/Olympus'],
    [`${'1,'.repeat(200)}1 * * * *`, undefined],
  ])('is refused when it cannot be read (%s)', (cron, zone) => {
    expect(() => every(cron, zone)).toThrow(/MILLRACE_CRON/)
  })
})

describe('a fixed distance', () => {
  const every = (ms: string, more = {}) => parseRepetition({ MILLRACE_REPEAT_MS: ms, ...more })

  it('counts from the first time, whatever was missed', () => {
    const steps = every('5000')
    expect(firstOccurrence(steps, undefined, 1000)).toBe(6000)
    expect(firstOccurrence(steps, 2000, 1000)).toBe(2000)
    expect(nextOccurrence(steps, 2000, 2010)).toBe(7000)
    expect(nextOccurrence(steps, 2000, 30_000)).toBe(32_000)
    expect(nextOccurrence(steps, 2000, 32_000)).toBe(37_000)
  })

  it.each(['0', '999', '-5', '1.5', 'x', '99999999999999'])('is refused when it is %s', ms => {
    expect(() => every(ms)).toThrow(/MILLRACE_REPEAT_MS/)
  })

  it('excludes a cron expression', () => {
    expect(() => every('5000', { MILLRACE_CRON: '* * * * *' })).toThrow(/exclude/)
  })
})

describe('the key of an occurrence', () => {
  it('is an official one with the time of the occurrence, or has the time behind it', () => {
    const key = '7F0000010BB818B4AAC2000000000001'
    const first = occurrenceKey(key, MONDAY)
    expect(first).toMatch(/^7F0000010BB818B4AAC2[0-9A-F]{8}0001$/)
    expect(occurrenceKey(key, MONDAY + 1)).not.toBe(first)
    expect(occurrenceKey('mine', 5)).toBe('mine-5')
  })
})
