import { createServer, Socket } from 'node:net'
import { MillraceError } from '../errors.js'
import type { Net, NetAddress, NetConnection, NetListener, TlsClient, TlsServer } from '../ports/net.js'
import { NodeConnection, WRITE_BYTES_HIGH } from './node-connection.js'
import { onreadOption, rebuildWithOnread } from './node-onread.js'
import { connectSecurely } from './node-tls.js'

/** Connections the kernel completes before we accept them. */
const ACCEPT_BACKLOG = 4096

/** TCP. */
export const nodeNet: Net = { listen, connect }

function listen(
  address: NetAddress,
  onConnection: (connection: NetConnection) => void,
  { tls }: { readonly tls?: TlsServer | undefined } = {},
): Promise<NetListener> {
  const server = createServer({ pauseOnConnect: true, highWaterMark: WRITE_BYTES_HIGH }, accepted =>
    onConnection(wrapAccepted(accepted, tls)),
  )
  return new Promise((resolve, reject) => {
    server.once('error', error => reject(listenError(address, error)))
    server.listen({ host: address.host, port: address.port, backlog: ACCEPT_BACKLOG }, () => {
      server.removeAllListeners('error')
      // A failed accept (out of descriptors) costs that one connection; the listener goes on.
      server.on('error', () => {})
      const bound = server.address() as { address: string; port: number }
      resolve({
        address: { host: bound.address, port: bound.port },
        close: () => {
          // The server's own callback would wait for every open connection.
          server.close()
          return Promise.resolve()
        },
      })
    })
  })
}

function wrapAccepted(accepted: Socket, tls: TlsServer | undefined): NetConnection {
  let connection: NodeConnection | undefined
  const rebuilt = rebuildWithOnread(accepted, chunk => connection?.receive(chunk))
  connection = new NodeConnection(rebuilt ?? accepted, rebuilt === undefined, tls)
  return connection
}

function connect(
  address: NetAddress,
  options: { readonly timeoutMs?: number; readonly tls?: TlsClient | undefined } = {},
): Promise<NetConnection> {
  return new Promise((resolve, reject) => {
    let connection: NodeConnection | undefined
    const socketOptions = {
      onread: onreadOption(chunk => connection?.receive(chunk)),
      writableHighWaterMark: WRITE_BYTES_HIGH,
    }
    const { tls } = options
    const socket = tls ? connectSecurely(address, tls) : new Socket(socketOptions as object)
    let timer: NodeJS.Timeout | undefined
    const fail = (reason: string, cause?: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      const where = `${address.host}:${address.port}`
      const hint = tls ? 'whether it speaks TLS and its certificate is one you believe' : 'the address is right'
      const message = `cannot connect to ${where}: ${reason}; check that the server runs and ${hint}`
      reject(new MillraceError('CONNECT_FAILED', message, { cause }))
    }
    const failed = (error: Error): void => fail(error.message, error)
    if (options.timeoutMs !== undefined)
      timer = setTimeout(() => fail(`no answer within ${options.timeoutMs} ms`), options.timeoutMs)
    socket.once('error', failed)
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      connection = new NodeConnection(socket, tls !== undefined)
      socket.removeListener('error', failed)
      resolve(connection)
    })
    // Paused before it is connected, so that nothing is read until the owner calls `start`.
    socket.pause()
    if (!tls) socket.connect({ host: address.host, port: address.port })
  })
}

function listenError(address: NetAddress, cause: Error): MillraceError {
  const where = `${address.host}:${address.port}`
  if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE')
    return new MillraceError(
      'ADDRESS_IN_USE',
      `${where} is already in use; stop the process that listens there or choose another port (0 picks a free one)`,
      { cause },
    )
  return new MillraceError(
    'NETWORK',
    `cannot listen on ${where}: ${cause.message}; check that this host has the address and may bind the port`,
    { cause },
  )
}
