import { join } from 'node:path'
import type { Client } from '@millrace/client'
import {
  type Duration,
  durationMs,
  type Environment,
  type Guarantee,
  MillraceError,
  type Pipeline,
} from '@millrace/core'
import { lockDirectory, openTaskState } from '@millrace/storage'
import { ClientTopics } from './client-topics.js'
import { PipelineEngine, type RunningPipeline } from './pipeline-engine.js'

export interface PipelineOptions {
  readonly client: Client
  /** Where the state of pipelines lies, in a directory each. One process may run a pipeline on it. */
  readonly stateDir: string
  readonly environment: Environment
  /** How often state and offsets are committed. More often: less is done again after a crash; less often: less work. Default 100 ms. */
  readonly commitInterval?: Duration
  /** Records that each task may hold: read and not processed, plus outputs not acknowledged. Default 4,096. */
  readonly inFlightMax?: number
  /** State entries that each operator of a task keeps in memory, and may change between commits. Default 100,000. */
  readonly cacheEntriesMax?: number
  /**
   * Where to begin in queues without state: with what is stored, with what comes, or with what was stored at a time (milliseconds since the
   * epoch) or later. Without it a pipeline begins with what is stored, unless its group has come further with state that is not here: that
   * is refused, where `startAt` begins anew.
   */
  readonly startAt?: 'first' | 'last' | number
  /**
   * `exactly-once` (default): outputs are part of each commit and leave after it, so that they come a commit interval later; Millrace's
   * broker and Millrace consumers drop what comes twice. `at-least-once`: outputs leave as they are made.
   */
  readonly guarantee?: Guarantee
  /** Lets operators with state come and go by name: what is gone is deleted, what is new begins empty. Default: such a change is refused. */
  readonly migrate?: boolean
  /** Queues of the source and sink topics that do not exist yet and are made. Default 4. */
  readonly queuesOfNewTopics?: number
}

const COMMIT_INTERVAL_MS = 100
const IN_FLIGHT_MAX = 4_096
const CACHE_ENTRIES_MAX = 100_000
const QUEUES_OF_NEW_TOPICS = 4

/**
 * Runs a pipeline in this process, as a member of the consumer group with the pipeline's id. It goes on where the last run on the same
 * state directory ended, however it ended. Resolves when its tasks run.
 *
 * Each input has its effect on state once; outputs are tagged (`StreamProperty`) so that readers can tell and drop duplicates.
 * @throws MillraceError TOPOLOGY_CHANGED when the state was made by another shape of the pipeline; STATE_MISSING; STORE_LOCKED when
 *   another process runs on the state; INVALID_ARGUMENT; and what the client throws.
 */
export async function runPipeline(pipeline: Pipeline, options: PipelineOptions): Promise<RunningPipeline> {
  const { client, environment, stateDir } = options
  const engineOptions = {
    commitIntervalMs: Math.max(1, durationMs(options.commitInterval ?? COMMIT_INTERVAL_MS)),
    inFlightMax: positive('inFlightMax', options.inFlightMax ?? IN_FLIGHT_MAX),
    cacheEntriesMax: positive('cacheEntriesMax', options.cacheEntriesMax ?? CACHE_ENTRIES_MAX),
    startAt: options.startAt,
    guarantee: options.guarantee ?? 'exactly-once',
    migrate: options.migrate ?? false,
    queuesOfNewTopics: positive('queuesOfNewTopics', options.queuesOfNewTopics ?? QUEUES_OF_NEW_TOPICS),
  } as const
  const directory = join(stateDir, pipeline.id)
  const lock = lockDirectory(directory)
  const topics = new ClientTopics(client, pipeline.id, error => engine.report(error))
  const openState = (task: string) => openTaskState(join(directory, task), environment)
  const engine = new PipelineEngine(pipeline, { reader: topics, writer: topics, openState }, environment, engineOptions)
  engine.errors.subscribe({ complete: () => lock.release() })
  await engine.start()
  return engine
}

function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new MillraceError('INVALID_ARGUMENT', `${name} is ${value}; it must be a whole number from 1`)
  return value
}
