import type { Disk, Scheduler } from '@millrace/core'

/** How often files are looked at. */
const PERIOD_MS = 1_000
/** Certificates and account lists are far smaller. */
const FILE_BYTES_MAX = 4 * 1024 * 1024

/** The whole of a file; undefined when there is none. @throws the platform's error, RangeError when it is over 4 MiB */
export function readWhole(disk: Disk, path: string): Buffer | undefined {
  const size = disk.size(path)
  if (size === undefined) return undefined
  if (size > FILE_BYTES_MAX) throw new RangeError(`"${path}" has ${size} bytes, more than ${FILE_BYTES_MAX}`)
  const file = disk.open(path, 'read')
  try {
    const content = Buffer.alloc(size)
    return content.subarray(0, disk.read(file, content, 0, size, 0))
  } finally {
    disk.close(file)
  }
}

/**
 * Calls `onChange` when the content of a file has changed since the last look (now, at first). Content is compared, as
 * dates miss a replacement within their resolution. Returns what ends it.
 */
export function watchFiles(
  { disk, scheduler }: { readonly disk: Disk; readonly scheduler: Scheduler },
  paths: readonly string[],
  onChange: () => void,
): () => void {
  const look = (): string =>
    paths
      .map(path => {
        try {
          return readWhole(disk, path)?.toString('latin1') ?? ''
        } catch (error) {
          // A file that cannot be read now: its owner reports it when it reads the files again.
          return String(error)
        }
      })
      .join('\0')
  let last = look()
  let isEnded = false
  const again = (): void => {
    scheduler.after(
      PERIOD_MS,
      () => {
        if (isEnded) return
        const found = look()
        if (found !== last) {
          last = found
          onChange()
        }
        again()
      },
      { unref: true },
    )
  }
  again()
  return () => {
    isEnded = true
  }
}
