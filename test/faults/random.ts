/** Small seeded generator (a 32-bit counter through a mixing function): same seed, same numbers. */
export class SeededRandom {
  #state: number

  constructor(readonly seed: number) {
    this.#state = seed >>> 0
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }

  /** Uniform integer in [from, to). */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from))
  }
}

/** A generator from MILLRACE_SEED, or a new seed; prints how to run the same again. */
export function announcedRandom(testFile: string): SeededRandom {
  const seed = Number(process.env['MILLRACE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`seed ${seed}; again: MILLRACE_SEED=${seed} npx vitest run --project slow ${testFile}`)
  return new SeededRandom(seed)
}
