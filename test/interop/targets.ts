import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child, run, until } from './children.js'
import { hasBroker } from './remoting.js'
import { missingTool } from './tools.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const apacheDir = join(root, 'bench/apache')
/** MILLRACE_MAIN is for testing another build. */
const millraceMain = process.env['MILLRACE_MAIN'] ?? join(root, 'packages/millrace/dist/cli/main.js')

/** A running name server and broker. */
export interface Target {
  readonly nameServer: string
  readonly broker: string
  /** Stops it in good order. */
  stop(): Promise<void>
  /** Ends it at once (Apache takes 20 s to stop), for a store that nobody opens again. */
  discard(): Promise<void>
}

/** Something that serves the protocol and keeps its store in a directory. */
export interface TargetKind {
  readonly name: string
  /** Why it cannot run here, or undefined. */
  missing(): string | undefined
  /** Where the commit log of a store in `dataDir` is. */
  commitLog(dataDir: string): string
  /** @param settings RocketMQ's names of broker settings. */
  start(dataDir: string, settings?: Readonly<Record<string, string>>): Promise<Target>
}

async function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** A port that is free together with those at the given distances (Apache's broker opens three). */
async function freePort(...distances: number[]): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const all = await Promise.all([0, ...distances].map(distance => isFree(port + distance)))
    if (all.every(Boolean)) return port
  }
}

function linesOf(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).map(([name, value]) => `${name}=${value}`)
}

/** Apache refuses sends that waited 200 ms, which on a small machine under test they do. */
const PATIENCE = { waitTimeMillsInSendQueue: '10000' }

export const apacheName = 'Apache RocketMQ 5.5.0'

export const apache: TargetKind = {
  name: apacheName,
  missing: () => missingTool('java') ?? missingTool('mvn'),
  commitLog: dataDir => join(dataDir, 'store/commitlog'),
  async start(dataDir, settings = {}) {
    const nameServerPort = await freePort()
    const brokerPort = await freePort(-2, 1)
    const env = {
      LAB_DATA: dataDir,
      NAMESRV_PORT: String(nameServerPort),
      BROKER_PORT: String(brokerPort),
      BROKER_HEAP: '-Xms512m -Xmx512m',
      NAMESRV_HEAP: '-Xms128m -Xmx256m',
      BROKER_EXTRA: linesOf({ ...PATIENCE, ...settings }).join(';'),
    }
    mkdirSync(dataDir, { recursive: true })
    await run(join(apacheDir, 'start.sh'), ['all'], { env, timeoutMs: 300_000 })
    // The scripts start their servers detached, so an exit of the suite in the middle has to end them itself.
    const kill = () => execFileSync(join(apacheDir, 'stop.sh'), ['kill'], { env: { ...process.env, ...env } })
    process.once('exit', kill)
    const end = async (...how: string[]) => {
      await run(join(apacheDir, 'stop.sh'), how, { env, timeoutMs: 90_000 })
      process.off('exit', kill)
    }
    const nameServer = `127.0.0.1:${nameServerPort}`
    try {
      await until(
        () => hasBroker(nameServer),
        120_000,
        () => `${nameServer} knows no broker; logs in ${dataDir}`,
      )
    } catch (error) {
      await end('kill')
      throw error
    }
    return { nameServer, broker: `127.0.0.1:${brokerPort}`, stop: () => end(), discard: () => end('kill') }
  },
}

export const millrace: TargetKind = {
  name: 'Millrace',
  missing: () => (existsSync(millraceMain) ? undefined : `${millraceMain} is not built`),
  commitLog: dataDir => join(dataDir, 'commitlog'),
  async start(dataDir, settings = {}) {
    const ports = { nameServer: await freePort(), broker: await freePort(-2, 1) }
    mkdirSync(dataDir, { recursive: true })
    const conf = `${dataDir}.conf`
    writeFileSync(conf, `${linesOf(settings).join('\n')}\n`)
    const child = new Child(process.execPath, [
      millraceMain,
      'start',
      '--data',
      dataDir,
      '--nameserver-port',
      String(ports.nameServer),
      '--broker-port',
      String(ports.broker),
      '-c',
      conf,
      '--json',
    ]).asServer()
    await child.line(line => line.startsWith('{'), 30_000)
    const stop = async () => {
      child.signal('SIGTERM')
      await child.end(30_000)
    }
    return {
      nameServer: `127.0.0.1:${ports.nameServer}`,
      broker: `127.0.0.1:${ports.broker}`,
      stop,
      discard: stop,
    }
  },
}

/** All targets, or those named in INTEROP_TARGETS (`apache`, `millrace`). */
export function selectedTargets(): TargetKind[] {
  const names = process.env['INTEROP_TARGETS']?.split(',')
  return Object.entries({ apache, millrace })
    .filter(([name]) => !names || names.includes(name))
    .map(([, kind]) => kind)
}
