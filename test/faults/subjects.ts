import { BrokerTarget } from './broker-target.js'
import { LogStoreTarget } from './log-store-target.js'
import type { Target } from './target.js'

export interface SubjectOptions {
  readonly directory: string
  readonly flush: 'sync' | 'async'
  readonly environment?: Readonly<Record<string, string>>
}

/** What the fault tests are run on. */
export interface Subject {
  readonly name: string
  start(options: SubjectOptions): Promise<Target>
  /** How it refuses a message when its disk is full, and when its disk has failed. */
  readonly fullCode: string
  readonly failedCode: string
}

export const STORE: Subject = {
  name: 'message store',
  start: options => LogStoreTarget.start(options),
  fullCode: 'DISK_FULL',
  failedCode: 'STORE_READ_ONLY',
}

/** RocketMQ's SERVICE_NOT_AVAILABLE. */
const NOT_WRITEABLE = '14'

export const BROKER: Subject = {
  name: 'broker',
  start: options => BrokerTarget.start(options),
  fullCode: NOT_WRITEABLE,
  failedCode: NOT_WRITEABLE,
}
