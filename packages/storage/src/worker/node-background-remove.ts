import { close, fsync, open, unlink } from 'node:fs'

/**
 * Deletes files, the first one first, without blocking the thread, and makes that durable; calls back once. Giving back
 * the blocks of a large file takes the file system tens of milliseconds.
 */
export type BackgroundRemove = (
  directory: string,
  names: readonly string[],
  done: (error?: NodeJS.ErrnoException) => void,
) => void

/** On libuv's thread pool. The directory is synced after each file: a crash never leaves a gap between files. */
export const removeInBackground: BackgroundRemove = (directory, names, done) => {
  const [first, ...rest] = names
  if (first === undefined) return done()
  unlink(`${directory}/${first}`, unlinkError => {
    if (unlinkError && unlinkError.code !== 'ENOENT') return done(unlinkError)
    open(directory, 'r', (openError, file) => {
      if (openError) return done(openError)
      fsync(file, syncError => {
        close(file, () => {
          if (syncError) done(syncError)
          else removeInBackground(directory, rest, done)
        })
      })
    })
  })
}
