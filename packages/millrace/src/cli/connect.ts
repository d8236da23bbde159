import { readFileSync } from 'node:fs'
import type { Client, ClientOptions } from '@millrace/client'
import type { ConnectingOptions } from './common.js'
import { UsageError } from './failure.js'

/** A client of the service that the options name. Loads the client only now. */
export async function connect(options: ConnectingOptions): Promise<Client> {
  const { Client } = await import('@millrace/client')
  return Client.connect({
    nameservers: options.nameserver,
    ...(options.credentials !== undefined && { credentials: readCredentials(options.credentials) }),
    tls: tlsOf(options),
  })
}

function tlsOf({ tls, tlsCa, tlsUnchecked }: ConnectingOptions): ClientOptions['tls'] {
  if (tlsUnchecked) return { isChecked: false }
  if (tlsCa !== undefined) return { authorities: readText(tlsCa, '--tls-ca') }
  return tls
}

/** JSON, or lines `accessKey: name` as in the tools.yml of RocketMQ's tools. */
function readCredentials(path: string): NonNullable<ClientOptions['credentials']> {
  const text = readText(path, '--credentials')
  const member = (name: string): string | undefined =>
    new RegExp(`(?:^|[{,])\\s*["']?${name}["']?\\s*[:=]\\s*["']?([^"'\\s,}]+)`, 'm').exec(text)?.[1]
  const accessKey = member('accessKey')
  const secretKey = member('secretKey')
  if (accessKey === undefined || secretKey === undefined)
    throw new UsageError(`"${path}" has no accessKey and secretKey; write {"accessKey":"…","secretKey":"…"}`)
  return { accessKey, secretKey }
}

function readText(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`${option}: "${path}" cannot be read: ${(error as Error).message}`)
  }
}
