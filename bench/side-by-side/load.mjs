// @ts-check
import { rmqload } from './tools.mjs'

let topicNumber = 0

/** A topic that no stage has used. @param {string} prefix */
export const newTopic = prefix => `${prefix}-${process.pid}-${topicNumber++}`

/** Runs the load generator against the server. @param {import('./stages.mjs').Context} context @param {(string | number)[]} args */
export function load({ server }, ...args) {
  return rmqload([args[0] ?? '', '-namesrv', server.nameServer, '-pids', server.pids().join(','), ...args.slice(1)])
}

/** CPU of all server processes per message, µs. @param {any} answer @param {number} perSecond */
export function cpuMicros(answer, perSecond) {
  const cores = answer.servers.reduce((/** @type {number} */ sum, /** @type {any} */ server) => sum + server.cores, 0)
  return perSecond > 0 ? (cores / perSecond) * 1e6 : 0
}
