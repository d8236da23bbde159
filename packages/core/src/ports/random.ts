/** Source of randomness. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, below). `below` is at least 1. */
  int(below: number): number
}
