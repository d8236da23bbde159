/**
 * Event time of a task. Each input (a queue, or an upstream task seen through a repartition topic) has a watermark: no event
 * before it is expected from there. The task's is the least of its active inputs' and never goes back. An input
 * starts active at minus infinity, steps aside by `setIdle`, and is active again with its next `advance`; when all have
 * stepped aside, the furthest counts.
 * @see Flink `StatusWatermarkValve` for the same rules
 */
export class WatermarkTracker {
  readonly #inputs: number[]
  readonly #isIdle: boolean[]
  #watermark: number

  constructor(inputs: readonly number[], watermark = Number.NEGATIVE_INFINITY) {
    this.#inputs = [...inputs]
    this.#isIdle = inputs.map(() => false)
    this.#watermark = watermark
    // What was stored may be from between an input's advance and the results that were due at it.
    this.#update()
  }

  get watermark(): number {
    return this.#watermark
  }

  /** Watermarks per input, to be stored. */
  get inputs(): readonly number[] {
    return this.#inputs
  }

  isIdle(input: number): boolean {
    return this.#isIdle[input]!
  }

  advance(input: number, watermark: number): void {
    const before = this.#inputs[input]!
    this.#isIdle[input] = false
    if (watermark <= before) return
    this.#inputs[input] = watermark
    if (this.#inputs.length === 1) {
      if (watermark > this.#watermark) this.#watermark = watermark
      return
    }
    if (before <= this.#watermark) this.#update()
  }

  setIdle(input: number): void {
    this.#isIdle[input] = true
    this.#update()
  }

  #update(): void {
    let least = Number.POSITIVE_INFINITY
    let furthest = Number.NEGATIVE_INFINITY
    for (let input = 0; input < this.#inputs.length; input++) {
      const watermark = this.#inputs[input]!
      if (watermark > furthest) furthest = watermark
      if (!this.#isIdle[input] && watermark < least) least = watermark
    }
    const next = least === Number.POSITIVE_INFINITY ? furthest : least
    if (next > this.#watermark) this.#watermark = next
  }
}
