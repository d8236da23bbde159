import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { parseAddress, RequestCode, type TlsClient } from '@millrace/core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { selfSigned } from '../../../packages/core/src/node/node-self-signed.js'
import { RawClient, startWith, type TestService } from './support.js'

const directory = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
const anyServer: TlsClient = { isChecked: false }
let world: TestService | undefined

async function stop(): Promise<void> {
  await world?.stop()
  world = undefined
}

/** Writes a new certificate and key; returns their paths and text. */
function certificate(name: string) {
  const made = selfSigned()
  const paths = { path: join(directory, `${name}.pem`), keyPath: join(directory, `${name}.key`) }
  writeFileSync(paths.path, made.cert)
  writeFileSync(paths.keyPath, made.key)
  return { ...made, ...paths }
}

async function clientOf(role: 'broker' | 'nameserver', tls?: TlsClient): Promise<RawClient> {
  const address = parseAddress(world!.service.addresses[role]!)!
  return new RawClient(await world!.environment.net.connect(address, { timeoutMs: 5000, tls }))
}

const ask = (client: RawClient) => client.call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'TBW102' })

describe('permissive, the default', () => {
  beforeAll(async () => {
    world = await startWith({}, { sockets: true })
  })
  afterAll(stop)

  it('serves TLS and plain clients on the same ports, with a certificate of its own making', async () => {
    for (const role of ['broker', 'nameserver'] as const)
      for (const tls of [undefined, anyServer]) {
        const client = await clientOf(role, tls)
        expect((await ask(client)).code).toBe(0)
        expect((await client.send('over-tls')).code).toBe(0)
        expect((await client.pull('over-tls', 'readers')).code).toBe(0)
        client.net.destroy()
      }
  })

  it('carries large messages both ways', async () => {
    const client = await clientOf('broker', anyServer)
    const body = 'x'.repeat(3 * 2 ** 20)
    const { sendFields } = await import('./support.js')
    expect((await client.call(RequestCode.SEND_MESSAGE_V2, sendFields('large'), { body })).code).toBe(0)
    const pulled = await client.pull('large', 'readers')
    expect(pulled.code).toBe(0)
    expect(pulled.body!.length).toBeGreaterThan(body.length)
    client.net.destroy()
  })

  it('closes a connection whose TLS is broken, and only that one', async () => {
    const other = await clientOf('broker', anyServer)
    const { host, port } = parseAddress(world!.service.addresses.broker!)!
    const socket = connectPlain(port, host)
    socket.write(Buffer.from('160301000501000001ff', 'hex'))
    await new Promise(resolve =>
      socket
        .on('error', () => undefined)
        .on('close', resolve)
        .resume(),
    )
    expect((await ask(other)).code).toBe(0)
    other.net.destroy()
  })

  it('lets nobody renegotiate, and speaks nothing below TLS 1.2 (CVE-2011-1473)', async () => {
    const { host, port } = parseAddress(world!.service.addresses.broker!)!
    const old = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })
    await expect(secured(old)).rejects.toThrow()
    const socket = connect({ host, port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' })
    await secured(socket)
    const error = await new Promise(resolve => {
      socket.on('error', resolve)
      socket.renegotiate({ rejectUnauthorized: false }, resolve)
    })
    expect(String(error)).toMatch(/no renegotiation/i)
    socket.destroy()
  })
})

describe('with settings of its own', () => {
  afterEach(stop)

  it('closes plain connections when enforcing, and TLS ones when disabled', async () => {
    world = await startWith({ tlsServerMode: 'enforcing' }, { sockets: true })
    const plain = await clientOf('broker')
    void ask(plain).catch(() => undefined)
    await until(() => plain.isClosed)
    const secure = await clientOf('broker', anyServer)
    expect((await ask(secure)).code).toBe(0)
    secure.net.destroy()
    await world.restart({ tlsServerMode: 'disabled' })
    await expect(clientOf('broker', anyServer)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    const client = await clientOf('broker')
    expect((await ask(client)).code).toBe(0)
    client.net.destroy()
  })

  it('shows the certificate of its files, and a new one when they change, without a restart', async () => {
    const first = certificate('server')
    const settings = { 'tls.server.certPath': first.path, 'tls.server.keyPath': first.keyPath }
    const problems: Error[] = []
    world = await startWith(settings, { sockets: true, onSecurity: error => problems.push(error) })
    const believing = (cert: string): TlsClient => ({ isChecked: true, authorities: cert, serverName: 'millrace' })
    const client = await clientOf('broker', believing(first.cert))
    expect((await ask(client)).code).toBe(0)
    await expect(clientOf('broker', { isChecked: true })).rejects.toThrow(/self.signed/i)

    writeFileSync(first.path, selfSigned().cert)
    await until(() => problems.length > 0)
    expect(problems[0]?.message).toContain('is not the key of certificate')
    ;(await clientOf('broker', believing(first.cert))).net.destroy()

    const second = certificate('server')
    await until(async () => {
      try {
        ;(await clientOf('broker', believing(second.cert))).net.destroy()
        return true
      } catch {
        return false
      }
    })
    // Connections that are open stay.
    expect((await ask(client)).code).toBe(0)
    client.net.destroy()
  })

  it('lets in only clients whose certificate is believed, when asked to', async () => {
    const server = certificate('asking-server')
    const friend = certificate('friend')
    const stranger = certificate('stranger')
    world = await startWith(
      {
        tlsServerMode: 'enforcing',
        tlsServerCertPath: server.path,
        tlsServerKeyPath: server.keyPath,
        tlsServerNeedClientAuth: 'require',
        tlsServerAuthClient: true,
        tlsServerTrustCertPath: friend.path,
      },
      { sockets: true },
    )
    const tried = async (tls: TlsClient): Promise<'served' | 'refused'> => {
      try {
        const client = await clientOf('broker', tls)
        const outcome = await Promise.race([
          ask(client).then(() => 'served' as const),
          until(() => client.isClosed).then(() => 'refused' as const),
        ])
        client.net.destroy()
        return outcome
      } catch {
        return 'refused'
      }
    }
    expect(await tried({ isChecked: false, certificate: friend.cert, key: friend.key })).toBe('served')
    expect(await tried({ isChecked: false, certificate: stranger.cert, key: stranger.key })).toBe('refused')
    expect(await tried({ isChecked: false })).toBe('refused')
  })

  it('does not start with a certificate that cannot be used', async () => {
    const { path } = certificate('one')
    const { keyPath } = certificate('another')
    const started = (settings: Record<string, unknown>) => startWith(settings, { sockets: true })
    await expect(started({ tlsServerCertPath: path })).rejects.toThrow('go together')
    await expect(started({ tlsServerCertPath: path, tlsServerKeyPath: keyPath })).rejects.toThrow('is not the key of')
    await expect(started({ tlsServerCertPath: path, tlsServerKeyPath: 'nowhere.key' })).rejects.toThrow(
      'there is no file',
    )
    await expect(started({ tlsServerNeedClientAuth: 'require' })).rejects.toThrow('is no authentication')
    await expect(started({ tlsServerMode: 'enforcing', tlsTestModeEnable: false })).rejects.toThrow(
      'needs a certificate',
    )
    rmSync(directory, { recursive: true, force: true })
  })
})

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve())
    socket.once('error', reject)
  })
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not happen in time')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
