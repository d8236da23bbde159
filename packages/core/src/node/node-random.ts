import type { Random } from '../ports/random.js'

/** The engine's generator: fast, unseeded, not for secrets. */
export const nodeRandom: Random = {
  next: () => Math.random(),
  int: below => Math.floor(Math.random() * below),
}
