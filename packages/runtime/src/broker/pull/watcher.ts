/** Who may wait for the next message of a queue: bits for `LogStore.watch`. */
export const WATCHER = { pull: 1, pop: 2 } as const
