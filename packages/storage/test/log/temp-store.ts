import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatProperties } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { LogStore, type LogStoreOptions } from '../../src/log-store.js'
import type { MessageToAppend } from '../../src/message-store.js'

const HOST = { host: '127.0.0.1', port: 10911 }

/** A directory of its own, deleted by `remove`. */
export function tempDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'millrace-log-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Small files and ring, so that a test crosses their ends. */
export function openSmall(directory: string, options: Partial<LogStoreOptions> = {}): Promise<LogStore> {
  return LogStore.open({
    environment: nodeEnvironment(),
    directory,
    flush: 'async',
    fileBytes: 2 * 1024 * 1024,
    ringBytes: 1024 * 1024,
    bodyBytesMax: 64 * 1024,
    syncIntervalMs: 20,
    ...options,
  })
}

export function message(
  topic: string,
  queueId: number,
  body: string,
  properties: Record<string, string> = {},
): MessageToAppend {
  return {
    topic,
    queueId,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    bornHost: { host: '127.0.0.1', port: 40_000 },
    storeHost: HOST,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.from(body),
    properties: Buffer.from(formatProperties(properties)),
  }
}

/** Waits until `isTrue` or fails after `deadlineMs`. */
export async function eventually(isTrue: () => boolean, deadlineMs = 5000): Promise<void> {
  const until = performance.now() + deadlineMs
  while (!isTrue()) {
    if (performance.now() > until) throw new Error(`not true within ${deadlineMs} ms: ${isTrue}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
