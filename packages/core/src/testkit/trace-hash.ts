/** FNV-1a over 32-bit words, two lanes: the fingerprint of a run. Equal runs have equal hashes. */
export class TraceHash {
  #high = 0x811c9dc5
  #low = 0x01000193

  add(word: number): void {
    this.#high = Math.imul(this.#high ^ (word | 0), 0x01000193)
    this.#low = Math.imul(this.#low ^ (word | 0) ^ (this.#high >>> 7), 0x85ebca6b)
  }

  addText(text: string): void {
    for (let index = 0; index < text.length; index++) this.add(text.charCodeAt(index))
  }

  toString(): string {
    return [this.#high, this.#low].map(lane => (lane >>> 0).toString(16).padStart(8, '0')).join('')
  }
}
