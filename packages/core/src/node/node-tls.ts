import { constants } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import { connect, createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { MillraceError } from '../errors.js'
import type { NetAddress, TlsClient, TlsServer, TlsServerIdentity } from '../ports/net.js'
import { selfSigned } from './node-self-signed.js'

/** Content type of a TLS handshake record. A plain frame begins with the high byte of its length, at most 1. */
const TLS_HANDSHAKE = 0x16

export function isTlsHello(chunk: Buffer): boolean {
  return chunk[0] === TLS_HANDSHAKE
}

/** TLS 1.2 and 1.3; a client may not renegotiate, which costs it little and us much (CVE-2011-1473). */
const PROTOCOL: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
}

const contexts = new WeakMap<TlsServerIdentity, SecureContext>()
let made: SecureContext | undefined

function contextOf(identity: TlsServerIdentity | undefined): SecureContext {
  if (identity === undefined) return (made ??= createSecureContext({ ...PROTOCOL, ...selfSigned() }))
  let context = contexts.get(identity)
  if (context === undefined) {
    const { authorities, certificate, key, passphrase } = identity
    context = createSecureContext({
      ...PROTOCOL,
      cert: certificate,
      key,
      ...(passphrase !== undefined && { passphrase }),
      ...(authorities && { ca: authorities }),
    })
    contexts.set(identity, context)
  }
  return context
}

/**
 * The server's side of TLS over an accepted socket from which `hello` has been read already.
 * @throws Error when the certificate cannot be used
 */
export function secureAccepted(plain: Socket, hello: Buffer, server: TlsServer): TLSSocket {
  const identity = server.identity()
  const clientCertificate = identity?.clientCertificate ?? 'none'
  const secureContext = contextOf(identity)
  plain.unshift(hello)
  const secure = new TLSSocket(plain, {
    isServer: true,
    secureContext,
    requestCert: clientCertificate !== 'none',
    rejectUnauthorized: clientCertificate === 'required',
  })
  if (clientCertificate !== 'none')
    secure.once('secure', () => {
      if (!isClientBelieved(secure, clientCertificate)) secure.destroy()
    })
  return secure
}

/**
 * OpenSSL is told by Node to go on with certificates that it cannot verify; `tls.Server` looks at the outcome, and so
 * must we. Comes before the first byte of data.
 */
function isClientBelieved(secure: TLSSocket, wanted: 'optional' | 'required'): boolean {
  if (secure.getPeerX509Certificate() === undefined) return wanted === 'optional'
  const handle = (secure as unknown as { readonly _handle?: { verifyError?(): Error | null | undefined } })._handle
  if (typeof handle?.verifyError !== 'function') return false
  return !handle.verifyError()
}

/** Begins to connect; 'secureConnect' follows, or 'error'. @throws MillraceError INVALID_ARGUMENT */
export function connectSecurely(address: NetAddress, client: TlsClient): TLSSocket {
  const { authorities, certificate, isChecked, key, passphrase } = client
  const serverName = client.serverName ?? address.host
  const options = {
    host: address.host,
    port: address.port,
    minVersion: 'TLSv1.2' as const,
    rejectUnauthorized: isChecked,
    ...(isIP(serverName) === 0 && { servername: serverName }),
    ...(authorities !== undefined && { ca: authorities }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(passphrase !== undefined && { passphrase }),
  }
  try {
    return connect(options)
  } catch (cause) {
    throw new MillraceError(
      'INVALID_ARGUMENT',
      `the certificate, key or authorities for TLS cannot be used: ${String(cause)}`,
      { cause },
    )
  }
}
