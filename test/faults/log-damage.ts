import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const FILLER_MAGIC = 0xcbd43194

export interface RecordPlace {
  readonly file: string
  /** Byte in the file. */
  readonly at: number
  readonly sizeBytes: number
}

/** Where the records of a store's log lie, in order. The log must be whole. */
export function recordPlaces(directory: string): RecordPlace[] {
  const folder = join(directory, 'commitlog')
  return readdirSync(folder)
    .filter(name => /^\d{20}$/.test(name))
    .sort()
    .flatMap(name => {
      const file = join(folder, name)
      const bytes = readFileSync(file)
      const places: RecordPlace[] = []
      for (let at = 0; at + 8 <= bytes.length; ) {
        const sizeBytes = bytes.readUInt32BE(at)
        if (sizeBytes === 0 || bytes.readUInt32BE(at + 4) === FILLER_MAGIC) break
        places.push({ file, at, sizeBytes })
        at += sizeBytes
      }
      return places
    })
}

export function overwrite(file: string, at: number, bytes: Uint8Array): void {
  const descriptor = openSync(file, 'r+')
  try {
    writeSync(descriptor, bytes, 0, bytes.length, at)
  } finally {
    closeSync(descriptor)
  }
}

/** Flips the lowest bit of one byte. */
export function flipBit(file: string, at: number): void {
  overwrite(file, at, Buffer.of((readFileSync(file)[at] ?? 0) ^ 1))
}
