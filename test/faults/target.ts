import { createHash } from 'node:crypto'
import type { Exit } from './line-child.js'

/** Something that stores messages in a process of its own: a bare message store, or a whole broker. */
export interface Target {
  /** Messages to one queue are stored in the order of these calls. Returns the offset. @throws Refused | Lost */
  append(queueId: number, body: string): Promise<number>
  /** The queue's range and what is stored in it from `from` on. */
  scan(queueId: number, from: number): Promise<Scan>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM or its like. */
  stop(): Promise<Exit>
  /** What the process has said on stderr. */
  readonly log: string
}

export interface Scan {
  readonly min: number
  readonly max: number
  readonly messages: readonly { readonly offset: number; readonly body: string }[]
}

export type StartTarget = () => Promise<Target>

/** The target answered that it does not store the message. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** No answer: the message may or may not be stored. */
export class Lost extends Error {}

export function bodyOf(key: string, sizeBytes: number): string {
  return `${key}\n`.padEnd(sizeBytes, `${key}.`)
}

export function keyOf(body: string): string {
  return body.slice(0, Math.max(0, body.indexOf('\n')))
}

export function sumOf(body: string): string {
  return createHash('sha1').update(body).digest('base64').slice(0, 12)
}
