import type { WebReply, WebRequest } from '../listener/web-request.js'
import type { RequestGuard } from '../security/request-guard.js'
import type { Labels, Metric } from './metric.js'
import { prometheusText } from './prometheus-text.js'

const BASIC = /^Basic ([A-Za-z0-9+/=]+)$/i
const ASK = { 'WWW-Authenticate': 'Basic realm="millrace"' }

/**
 * Answers `GET /metrics` with Prometheus' text. Where requests are checked, this one is too: by user name and password,
 * and the user must be allowed to get from the cluster.
 */
export function metricsPage(
  collect: () => readonly Metric[],
  common: Labels,
  guard: RequestGuard | undefined,
): (request: WebRequest, host: string) => WebReply {
  return (request, host) => {
    if (request.path !== '/metrics') return { status: 404, body: 'there is /metrics here\n' }
    if (guard !== undefined) {
      const [name, password] = credentialsOf(request)
      const outcome = guard.mayRead(name, password, host)
      if (outcome === 'unknown') return { status: 401, headers: ASK, body: 'user name and password, please\n' }
      if (outcome === 'denied') return { status: 403, body: 'this user may not get from the cluster\n' }
    }
    return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: prometheusText(collect(), common) }
  }
}

function credentialsOf({ headers }: WebRequest): [string, string] {
  const encoded = BASIC.exec(headers['authorization'] ?? '')?.[1] ?? ''
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? ['', ''] : [text.slice(0, colon), text.slice(colon + 1)]
}
