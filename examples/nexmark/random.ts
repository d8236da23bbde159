/** Scrambles 32 bits; the workload's page defines it, in wrapping 32-bit arithmetic. */
export function mix(seed: number): number {
  let x = seed | 0
  x ^= x >>> 16
  x = Math.imul(x, 0x21f0aaad)
  x ^= x >>> 15
  x = Math.imul(x, 0x735a2d97)
  x ^= x >>> 15
  return x
}

/** What spreads event numbers over seeds. */
export const GOLDEN = 0x9e3779b1 | 0

/** What steps from one draw to the next. */
const STEP = 0x9e3779b9 | 0

/** The workload's random numbers: the same everywhere, from a state of 32 bits. */
export class Draws {
  state = 0

  next(): number {
    this.state = (this.state + STEP) | 0
    return mix(this.state)
  }

  /** A whole number from 0, below `limit`, which is at most 2^21. */
  below(limit: number): number {
    return Math.floor(((this.next() >>> 0) * limit) / 0x1_0000_0000)
  }
}
