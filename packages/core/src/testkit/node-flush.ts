/** Resolves when every promise continuation that is due has run: the engine empties that queue before its next callback. */
export function flushContinuations(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
