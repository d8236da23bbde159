import 'reflect-metadata'
import { join } from 'node:path'
import { createActorSystem, type Environment, formatAddress, type MillraceError, type NetAddress } from '@millrace/core'
import {
  type KeyValue,
  LogStore,
  MetadataStore,
  nodeStorageEngine,
  type RecoveryProgress,
  type StorageEngine,
  type StoreState,
} from '@millrace/storage'
import { container, instanceCachingFactory } from 'tsyringe'
import type { LoadedConfig } from '../config/index.js'
import { createControlPlane } from '../control-plane.js'
import { Listener } from '../listener/listener.js'
import { AlarmBoard } from '../metrics/alarms.js'
import { BrokenFrames } from '../metrics/broken-frames.js'
import { exportMetrics } from '../metrics/export-metrics.js'
import { metricsPage } from '../metrics/metrics-page.js'
import { commonLabels, serviceMetrics, startAlarms } from '../metrics/service-metrics.js'
import { openSecurity } from '../security/security.js'
import { openTls } from '../security/tls.js'
import { topicAtIn } from '../security/topic-at.js'
import { DataPath } from './data-path.js'
import { TOKEN } from './tokens.js'

/** What a service tells the people who run it. */
export interface ServiceNotices {
  /** The log is being read to find its end, or to rebuild the index. */
  readonly onRecovery?: RecoveryProgress
  /** The store takes writes again, is full, or has failed. */
  readonly onStore?: (state: StoreState, reason: string) => void
  /** Topics, groups and offsets can no longer be changed: the store that keeps them failed. */
  readonly onMetadataFailure?: (error: MillraceError) => void
  /** A file of accounts or certificates has changed and cannot be used: what was read before goes on. */
  readonly onSecurity?: (error: MillraceError) => void
  /** Something that people should look at has begun or is over. */
  readonly onAlarm?: (sentence: string) => void
  /** A connection sent what cannot be read. At most one sentence in ten seconds. */
  readonly onBrokenFrame?: (sentence: string) => void
  /** A torn record at the end of the log was cut off: it was never acknowledged. */
  readonly onTornTail?: (position: number) => void
}

/** A running nameserver, broker, or both. */
export interface Service {
  /** `host:port` of each role that runs here. */
  readonly addresses: { readonly nameserver?: string; readonly broker?: string }
  /** Lets connections go, brings everything to disk, and gives the directory free. Idempotent. */
  stop(): Promise<void>
}

/**
 * Starts the roles that `config` names. Resolves when clients can be served.
 * @throws MillraceError STORE_LOCKED | STORE_CORRUPT | DISK_FAILED | INVALID_CONFIG | ADDRESS_IN_USE | NETWORK
 */
export async function startService(
  config: LoadedConfig,
  environment: Environment,
  notices: ServiceNotices = {},
  engine: StorageEngine = nodeStorageEngine,
): Promise<Service> {
  const cleanups: (() => unknown)[] = []
  const stop = once(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })
  try {
    return await start(config, environment, notices, engine, cleanups, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(
  config: LoadedConfig,
  environment: Environment,
  notices: ServiceNotices,
  engine: StorageEngine,
  cleanups: (() => unknown)[],
  stop: () => Promise<void>,
): Promise<Service> {
  const isBroker = config.roles.includes('broker')
  const isNameserver = config.roles.includes('nameserver')
  const listening = isBroker ? config.broker : config.nameserver
  const onProblem = (error: MillraceError): void => notices.onSecurity?.(error)
  const tls = openTls(listening, environment, onProblem)
  cleanups.push(() => tls.close())
  const scope = container.createChildContainer()
  scope.register(TOKEN.config, { useValue: config })
  scope.register(TOKEN.environment, { useValue: environment })
  scope.register(TOKEN.system, { useFactory: instanceCachingFactory(() => createActorSystem('millrace', environment)) })
  const system = scope.resolve(TOKEN.system)
  cleanups.push(() => system.stop())

  const root = config.broker.storePathRootDir
  const metadata = await MetadataStore.open(isBroker ? root : join(root, 'nameserver'), {
    environment,
    engine,
    durability: config.broker.flushDiskType === 'SYNC_FLUSH' ? 'flushed' : 'committed',
    ...(notices.onMetadataFailure && { onFailure: notices.onMetadataFailure }),
  })
  cleanups.push(() => metadata.close())
  scope.register(TOKEN.metadata, { useValue: metadata })
  if (isBroker) {
    const store = await openStore(config, environment, notices, engine)
    cleanups.push(() => store.close())
    scope.register(TOKEN.store, { useValue: store })
    const timers = await openTimers(config, environment, notices, engine)
    cleanups.push(() => timers.close())
    scope.register(TOKEN.timers, { useValue: timers })
  }

  const dataPath = isBroker ? new DataPath(config.broker, scope.resolve(TOKEN.store), environment) : undefined
  const control = createControlPlane({
    system,
    metadata,
    nameserver: isNameserver ? { config: config.nameserver } : undefined,
    broker: dataPath && {
      config: config.broker,
      store: dataPath.store,
      timerIndex: scope.resolve(TOKEN.timers),
      counters: dataPath.counters,
    },
  })
  cleanups.push(() => control.stop())
  if (control.broker) dataPath?.open(control.broker, system, metadata)
  cleanups.push(() => dataPath?.stop())

  const security = await openSecurity({
    config: listening,
    directory: isBroker ? root : join(root, 'nameserver'),
    clusterName: config.broker.brokerClusterName,
    environment,
    system,
    metadata,
    topicAt: topicAtIn(dataPath?.store),
    onProblem,
  })
  cleanups.push(() => security.close())
  const handlers = new Map([...control.handlers, ...security.handlers])
  const server = dataPath?.server(handlers, security.guard) ?? DataPath.without(handlers, security.guard)
  const limits = {
    connectionsMax: config.broker.connectionsMax,
    frameBytesMax: config.broker.frameBytesMax,
    idleMs: config.broker.channelExpiredTimeout,
  }
  const brokenFrames = new BrokenFrames(environment.clock, notices.onBrokenFrame)
  const parts = dataPath &&
    control.broker && {
      config: config.broker,
      control: control.broker,
      counters: dataPath.counters,
      metadata,
      store: dataPath.store,
    }
  const board = new AlarmBoard(sentence => notices.onAlarm?.(sentence))
  if (parts) startAlarms(parts, system, board)
  const collect = serviceMetrics({
    system,
    environment,
    guard: security.guard,
    brokenFrames,
    listener: () => listener,
    board,
    broker: parts,
  })
  const labels = commonLabels(config.broker, isBroker)
  const listener: Listener = new Listener(environment, server, limits, tls.server, {
    web: metricsPage(collect, labels, security.guard),
    broken: (connection, reason) => brokenFrames.note(connection.remote, reason),
  })
  cleanups.push(async () => {
    await listener.stopAccepting()
    listener.closeAll()
  })
  const host = config.broker.bindAddress
  const addresses: { nameserver?: NetAddress; broker?: NetAddress } = {}
  if (isBroker) {
    addresses.broker = await listener.listen({ host, port: config.broker.listenPort })
    dataPath!.brokerPort = addresses.broker.port
    await control.start(addresses.broker.port)
    cleanups.push(await exportMetrics(config.broker, listener, collect, labels))
  }
  // Last, so that whoever reaches the nameserver finds the broker.
  if (isNameserver) {
    addresses.nameserver = await listener.listen({
      host: config.nameserver.bindAddress,
      port: config.nameserver.listenPort,
    })
  }
  return {
    addresses: {
      ...(addresses.nameserver && { nameserver: formatAddress(addresses.nameserver) }),
      ...(addresses.broker && { broker: formatAddress(addresses.broker) }),
    },
    stop,
  }
}

async function openStore(
  config: LoadedConfig,
  environment: Environment,
  notices: ServiceNotices,
  engine: StorageEngine,
): Promise<LogStore> {
  const { broker } = config
  const store = await LogStore.open({
    environment,
    engine,
    directory: broker.storePathRootDir,
    ...(broker.storePathCommitLog !== '' && { logDirectory: broker.storePathCommitLog }),
    flush: broker.flushDiskType === 'SYNC_FLUSH' ? 'sync' : 'async',
    fileBytes: broker.mapedFileSizeCommitLog,
    ringBytes: broker.ringBytes,
    bodyBytesMax: broker.maxMessageSize,
    syncIntervalMs: broker.flushIntervalCommitLog,
    ...(notices.onRecovery && { onRecovery: notices.onRecovery }),
    ...(notices.onStore && { onState: notices.onStore }),
  })
  if (store.recovered.isTailTorn) notices.onTornTail?.(store.recovered.end)
  return store
}

/** The index of pending timers: what a crash leaves is consistent, and the log completes it. */
function openTimers(
  config: LoadedConfig,
  environment: Environment,
  notices: ServiceNotices,
  engine: StorageEngine,
): Promise<KeyValue> {
  return engine.openKeyValue(join(config.broker.storePathRootDir, 'millrace', 'timers'), {
    environment,
    durability: 'committed',
    ...(notices.onMetadataFailure && { onFailure: notices.onMetadataFailure }),
  })
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= work())
}
