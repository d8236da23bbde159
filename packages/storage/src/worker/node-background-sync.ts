import { close, fdatasync, open } from 'node:fs'

/** Brings the data of files to stable storage without blocking the thread, then calls back once. */
export type BackgroundSync = (paths: readonly string[], done: (error?: Error) => void) => void

/** On libuv's thread pool, one file after the other. */
export const syncInBackground: BackgroundSync = (paths, done) => {
  const [first, ...rest] = paths
  if (first === undefined) return done()
  open(first, 'r+', (openError, file) => {
    if (openError) return done(openError)
    fdatasync(file, syncError => {
      close(file, () => {
        if (syncError) done(syncError)
        else syncInBackground(rest, done)
      })
    })
  })
}
