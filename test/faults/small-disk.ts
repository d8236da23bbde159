import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Why no small file system can be mounted here; undefined when it can. */
export function smallDiskUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'a small disk needs Linux (tmpfs)'
  if (process.getuid?.() !== 0) return 'a small disk needs root (mount)'
  // A container may be root and still not be allowed to mount.
  return spawnSync('unshare', ['--mount', 'true']).status === 0 ? undefined : 'mounting is not allowed here'
}

/** A file system of a few megabytes, with ballast that can be thrown off. */
export class SmallDisk {
  readonly path: string
  readonly #ballast: string

  constructor(directory: string, sizes: { readonly totalBytes: number; readonly ballastBytes: number }) {
    this.path = join(directory, 'small')
    mkdirSync(this.path)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizes.totalBytes}`, 'tmpfs', this.path])
    if (mounted.status !== 0) throw new Error(`mount failed: ${mounted.stderr}`)
    this.#ballast = join(this.path, 'ballast')
    writeFileSync(this.#ballast, Buffer.alloc(sizes.ballastBytes, 1))
  }

  throwBallast(): void {
    rmSync(this.#ballast)
  }

  unmount(): void {
    spawnSync('umount', ['--lazy', this.path])
  }
}
