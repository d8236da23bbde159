/** An HTTP request without a body, on a port that speaks the remoting protocol otherwise. */
export interface WebRequest {
  readonly method: string
  /** Without its query. */
  readonly path: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
}

export interface WebReply {
  readonly status: 200 | 401 | 403 | 404
  readonly type?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A head that is longer is not answered. */
export const WEB_HEAD_BYTES_MAX = 16 * 1024

const METHODS = [Buffer.from('GET '), Buffer.from('HEAD')]

/** Do these first bytes begin an HTTP request? As the length of a frame they would be over every limit. */
export function isWebRequest(bytes: Buffer): boolean {
  return METHODS.some(method => bytes.subarray(0, method.length).equals(method))
}

/** 'incomplete': more bytes are needed. Undefined: not HTTP. */
export function readWebRequest(bytes: Buffer): WebRequest | 'incomplete' | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return bytes.length < WEB_HEAD_BYTES_MAX ? 'incomplete' : undefined
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const parts = /^(GET|HEAD) (\S+) HTTP\/1\.[01]$/.exec(first)
  if (!parts) return undefined
  const headers: Record<string, string> = Object.create(null)
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { method: parts[1], path: parts[2].split('?', 1)[0], headers }
}

const REASONS: Readonly<Record<WebReply['status'], string>> = {
  200: 'OK',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
}

/** The whole answer; the connection ends after it. */
export function formatWebReply({ method }: WebRequest, reply: WebReply): Buffer {
  const body = Buffer.from(reply.body ?? '')
  const lines = [
    `HTTP/1.1 ${reply.status} ${REASONS[reply.status]}`,
    `Content-Type: ${reply.type ?? 'text/plain; charset=utf-8'}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
    ...Object.entries(reply.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ]
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return method === 'HEAD' ? head : Buffer.concat([head, body])
}
