// @ts-check
import { execFile, execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))
const program = join(root, 'bench/rmqload/target/rmqload')

/** @param {string} command @param {string[]} args */
export function canRun(command, ...args) {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** @param {string} command @param {string[]} args */
export function firstLine(command, ...args) {
  try {
    return (
      execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .split('\n')[0]
        ?.trim() ?? ''
    )
  } catch {
    return ''
  }
}

export function buildLoadGenerator() {
  execFileSync('go', ['build', '-o', program, '.'], { cwd: join(root, 'bench/rmqload'), stdio: 'inherit' })
}

/**
 * Runs the load generator. Its answer is one line of JSON; with `error` when it also exited with 1, which it does when a
 * request was refused or a message was lost.
 * @param {(string | number)[]} args
 * @param {number} [timeoutMs]
 * @returns {Promise<any>}
 */
export function rmqload(args, timeoutMs = 180_000) {
  return new Promise((resolve, reject) => {
    execFile(program, args.map(String), { timeout: timeoutMs, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (!error) return resolve(JSON.parse(stdout))
      const reason = stderr.trim().split('\n').at(-1)?.slice(0, 300) || error.message
      if (!stdout.trim()) return reject(new Error(reason))
      resolve({ ...JSON.parse(stdout), error: reason })
    })
  })
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** A port that is free together with those at the given distances (Apache's broker opens three). @param {number[]} distances */
export async function freePort(...distances) {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const free = await Promise.all([0, ...distances].map(distance => isFree(port + distance)))
    if (free.every(Boolean)) return port
  }
}

/** @param {number} ms */
export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return undefined
  return sorted.length % 2
    ? sorted[middle]
    : /** @type {number} */ (sorted[middle - 1] + /** @type {number} */ (sorted[middle])) / 2
}
