/** Resolves when every promise continuation that is due has run: the engine empties that queue before its next callback. */
export function flushContinuations(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Runs `work` among the promise continuations, in the order they became due: the same in each run. */
export function amongContinuations(work: () => void): void {
  queueMicrotask(work)
}
