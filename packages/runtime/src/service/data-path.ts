import { type ActorRef, type ActorSystem, type Environment, formatProperties } from '@millrace/core'
import type { LogStore, MetadataStore } from '@millrace/storage'
import type { BrokerControl } from '../broker/broker-control.js'
import { REPLY_REQUESTS, replyAnswer } from '../broker/calls/reply-path.js'
import { BrokerCounters } from '../broker/counters.js'
import { DelayedSend } from '../broker/delay/delayed-send.js'
import { CodeFrameServer, type HotPaths } from '../broker/frame-server.js'
import { PopPath } from '../broker/pop/pop-path.js'
import { popRevive } from '../broker/pop/revive.js'
import { PULL_REQUESTS, PullPath } from '../broker/pull/pull-path.js'
import { RETENTION_REQUESTS, type RetentionMessage, retention } from '../broker/retention/retention.js'
import { GeneralSend, SEND_REQUESTS } from '../broker/send/general-send.js'
import { DedupWindows } from '../broker/send/once/dedup-windows.js'
import { OnceAppends } from '../broker/send/once/once-appends.js'
import { TaskLanes } from '../broker/send/once/task-lanes.js'
import { SendPath } from '../broker/send/send-path.js'
import { halfOf } from '../broker/transaction/half-message.js'
import type { BrokerConfig } from '../config/index.js'
import type { FrameServer } from '../listener/connection.js'
import { type Handler, handlerOf } from '../requests/answer.js'
import type { RequestGuard } from '../security/request-guard.js'

/** Sends and pulls of one broker, put together. */
export class DataPath {
  readonly counters: BrokerCounters
  /** Port under which clients reach the broker; part of message ids. */
  brokerPort = 0
  private paths:
    | (HotPaths & { readonly general: GeneralSend; readonly reply: Handler; readonly pop: PopPath })
    | undefined
  private lanes: TaskLanes | undefined
  private retention: ActorRef<RetentionMessage> | undefined

  constructor(
    private readonly config: BrokerConfig,
    readonly store: LogStore,
    private readonly environment: Environment,
  ) {
    this.counters = new BrokerCounters(environment.clock.monotonic())
  }

  /** Connects the paths to topics, groups and delays, and retention to the store. */
  open(control: BrokerControl, system: ActorSystem, metadata: MetadataStore): void {
    const { config, store, environment, counters } = this
    const added = { CLUSTER: config.brokerClusterName, MSG_REGION: config.regionId, TRACE_ON: String(config.traceOn) }
    const port = (): number => this.brokerPort
    const { clock, random } = environment
    const addedText = formatProperties(added)
    const delayed = new DelayedSend(store, control.delay, config.brokerName, addedText)
    const lanes = new TaskLanes(store, metadata.table('pipeline-tasks'), environment.scheduler)
    this.lanes = lanes
    const once = new OnceAppends(store, lanes, new DedupWindows(store, clock, environment.scheduler))
    const send = new SendPath(
      config,
      store,
      control.topics,
      clock,
      random,
      counters,
      Buffer.from(addedText),
      delayed,
      port,
      lanes,
    )
    const pull = new PullPath(config, store, control.topics, control.groups.pull, environment, counters)
    const { groups, topics } = control
    const { offsets, receipts } = metadata
    const popping = { config, store, receipts, offsets, topics, groups: groups.pull, environment, counters }
    const pop = new PopPath(popping)
    system.spawn('pop-revive', popRevive(popping), { supervision: { kind: 'resume' } })
    const policies = {
      scheduled: control.delay.schedule.bind(control.delay),
      half: halfOf,
      retried: (topic: string, tries: number, triesMax: number | undefined) =>
        control.retryTarget(topic, tries, triesMax),
    }
    const general = new GeneralSend(config, store, control.topics, policies, environment, counters, added, port, once)
    const reply = handlerOf(
      replyAnswer({
        config,
        clock,
        producers: control.groups.producers,
        topics: control.topics,
        brokerPort: port,
        store: (command, peer) => general.storeMessages(command, peer),
      }),
    )
    this.paths = { send, pull, general, reply, pop }
    store.addListener({
      written: position => {
        send.written(position)
        lanes.written(position)
      },
      lost: (_position, error) => {
        lanes.lost()
        send.lost(error)
      },
      arrived: queue => {
        pull.arrived(queue)
        pop.arrived(queue)
      },
    })
    const space = () => environment.disk.space(config.storePathCommitLog || config.storePathRootDir)
    this.retention = system.spawn('retention', retention({ config, store, space, pins: control.pins }), {
      supervision: { kind: 'resume' },
    })
  }

  /** To be called once no request comes any more, while the stores are open. */
  async stop(): Promise<void> {
    await this.lanes?.stop()
  }

  /** Serves all frames: sends and pulls here, the rest by `handlers`. */
  server(handlers: ReadonlyMap<number, Handler>, guard?: RequestGuard): FrameServer {
    const { paths } = this
    if (paths === undefined) throw new Error('open comes first')
    const all = new Map(handlers)
    for (const code of SEND_REQUESTS) all.set(code, paths.general.handler)
    for (const code of REPLY_REQUESTS) all.set(code, paths.reply)
    for (const code of PULL_REQUESTS) all.set(code, paths.pull.general)
    for (const code of RETENTION_REQUESTS) all.set(code, request => this.retention?.tell({ kind: 'request', request }))
    for (const [code, handler] of paths.pop.handlers) all.set(code, handler)
    return new CodeFrameServer(all, paths, guard)
  }

  /** Serves `handlers` alone: a nameserver. */
  static without(handlers: ReadonlyMap<number, Handler>, guard?: RequestGuard): FrameServer {
    return new CodeFrameServer(handlers, undefined, guard)
  }
}
