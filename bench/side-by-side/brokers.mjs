// @ts-check
import { execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canRun, firstLine, freePort, rmqload, root, sleep } from './tools.mjs'

/**
 * @typedef {object} Options
 * @property {'async' | 'sync'} flush
 * @property {string} dir Empty, or the store of a run before.
 *
 * @typedef {object} Running
 * @property {string} nameServer
 * @property {string} broker
 * @property {string} startedFile When the broker's process was started last, in Unix nanoseconds.
 * @property {() => number[]} pids
 * @property {() => Promise<void>} stop
 * @property {() => Promise<void>} crash kill -9 of the process that stores messages
 * @property {() => Promise<void>} restart starts that process again, on the same store and ports
 *
 * @typedef {object} Kind
 * @property {'millrace' | 'apache'} id
 * @property {string} name
 * @property {() => string | undefined} missing
 * @property {(options: Options) => Promise<Running>} start Returns at once: the process may still be starting.
 */

const apacheDir = join(root, 'bench/apache')

/** Bin of the package people install; MILLRACE_MAIN is for measuring another build. */
function millraceMain() {
  return process.env['MILLRACE_MAIN'] ?? join(root, 'packages/millrace/bin/millrace')
}

/** @type {Set<() => void>} */
const emergencyStops = new Set()
process.on('exit', () => {
  for (const stop of emergencyStops) stop()
})

/** Starts a server that must not end by itself. @param {string} command @param {string[]} args */
function launch(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', text => {
    errors = (errors + text).slice(-2_000)
  })
  let isAsked = false
  const ended = new Promise(resolve => child.once('close', resolve))
  void ended.then(code => {
    if (!isAsked) process.stderr.write(`\n${args[0]} ended by itself (${code}): ${errors}\n`)
  })
  const kill = () => void child.kill('SIGKILL')
  emergencyStops.add(kill)
  return {
    pid: /** @type {number} */ (child.pid),
    /** @param {'SIGTERM' | 'SIGKILL'} signal */
    async end(signal) {
      isAsked = true
      child.kill(signal)
      const timer = setTimeout(kill, 30_000)
      await ended
      clearTimeout(timer)
      emergencyStops.delete(kill)
    },
  }
}

/** @type {Kind} */
const millrace = {
  id: 'millrace',
  name: 'Millrace',
  missing: () =>
    existsSync(join(root, 'packages/millrace/dist/cli/main.js')) ? undefined : 'Millrace is not built (npm run build)',
  async start({ flush, dir }) {
    mkdirSync(dir, { recursive: true })
    const ports = [await freePort(), await freePort(-2, 1)]
    const startedFile = join(dir, '..', 'millrace.started')
    const args = [
      'start',
      '--data',
      dir,
      '--nameserver-port',
      `${ports[0]}`,
      '--broker-port',
      `${ports[1]}`,
      '--flush',
      flush,
      '--json',
    ]
    const begin = () => {
      writeFileSync(startedFile, String(BigInt(Date.now()) * 1_000_000n))
      return launch(process.execPath, [millraceMain(), ...args])
    }
    let child = begin()
    return {
      nameServer: `127.0.0.1:${ports[0]}`,
      broker: `127.0.0.1:${ports[1]}`,
      startedFile,
      pids: () => [child.pid],
      stop: () => child.end('SIGTERM'),
      crash: () => child.end('SIGKILL'),
      async restart() {
        child = begin()
      },
    }
  },
}

/** @type {Kind} */
const apache = {
  id: 'apache',
  name: 'Apache RocketMQ 5.5.0',
  missing() {
    if (!canRun('java', '-version')) return 'Java is not installed'
    return canRun('mvn', '--version') ? undefined : 'Maven is not installed'
  },
  async start({ flush, dir }) {
    mkdirSync(dir, { recursive: true })
    const [nameServer, broker] = [await freePort(), await freePort(-2, 1)]
    const env = {
      ...process.env,
      LAB_DATA: dir,
      NAMESRV_PORT: `${nameServer}`,
      BROKER_PORT: `${broker}`,
      BROKER_EXTRA: 'enablePropertyFilter=true',
      FLUSH: flush === 'sync' ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
    }
    /** @param {string} script @param {string[]} args @returns {Promise<void>} */
    const shell = (script, ...args) =>
      new Promise((resolve, reject) => {
        execFile(join(apacheDir, script), args, { env, timeout: 300_000 }, error => (error ? reject(error) : resolve()))
      })
    await shell('start.sh', 'all')
    const kill = () => execFileSync(join(apacheDir, 'stop.sh'), ['kill'], { env })
    emergencyStops.add(kill)
    return {
      nameServer: `127.0.0.1:${nameServer}`,
      broker: `127.0.0.1:${broker}`,
      // Both are started at once; the broker's start counts, a moment after the name server's.
      startedFile: join(dir, 'broker.started'),
      pids: () => ['namesrv', 'broker'].map(name => Number(readFileSync(join(dir, `${name}.pid`), 'utf8'))),
      async stop() {
        await shell('stop.sh')
        emergencyStops.delete(kill)
      },
      crash: () => shell('stop.sh', 'kill', 'broker'),
      restart: () => shell('start.sh', 'broker'),
    }
  },
}

export const kinds = [millrace, apache]

/** Waits until a message was accepted through the name server; ms since process start. @param {Running} server */
export async function untilAccepting(server) {
  const answer = await rmqload(['wait', '-namesrv', server.nameServer, '-topic', 'ready', '-since', server.startedFile])
  return /** @type {number} */ (answer.took_ms)
}

/** Resident memory of the processes, MiB. @param {readonly number[]} pids */
export function residentMiB(pids) {
  const kib = pids.map(pid => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0))
  return Math.round(kib.reduce((sum, value) => sum + value, 0) / 102.4) / 10
}

/** @param {string} dir */
export async function wipe(dir) {
  for (let attempt = 0; ; attempt++) {
    try {
      rmSync(dir, { recursive: true, force: true })
      return
    } catch (error) {
      if (attempt === 5) throw error // a process that is just ending may still write
      await sleep(200)
    }
  }
}

export function machine() {
  return {
    cpu:
      /model name\s*:\s*(.*)/.exec(existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '')?.[1] ??
      'unknown',
    kernel: firstLine('uname', '-sr'),
    node: process.version,
    go: firstLine('go', 'version').replace('go version ', ''),
    java: canRun('java', '-version') ? (firstLine('sh', '-c', 'java -version 2>&1') ?? '') : 'none',
    commit: firstLine('git', '-C', root, 'rev-parse', '--short', 'HEAD'),
  }
}
