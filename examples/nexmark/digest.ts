import { mix } from './random.js'

/** Fingerprint of a multiset of rows, whatever their order. */
export class Digest {
  count = 0
  #first = 0
  #second = 0

  add(row: string): void {
    let h = 0x811c9dc5 | 0
    let g = 0x9747b28c | 0
    for (let i = 0; i < row.length; i++) {
      const c = row.charCodeAt(i)
      h = Math.imul(h ^ c, 0x01000193)
      g = Math.imul(g ^ c, 0x5bd1e995)
      g ^= g >>> 15
    }
    this.#first = (this.#first + mix(h)) | 0
    this.#second = (this.#second + mix(g)) | 0
    this.count++
  }

  toString(): string {
    const hex = (part: number): string => (part >>> 0).toString(16).padStart(8, '0')
    return hex(this.#first) + hex(this.#second)
  }
}

/** Fields joined as the workload's rows are. */
export function rowOf(fields: readonly (string | number)[]): string {
  return fields.join('|')
}
