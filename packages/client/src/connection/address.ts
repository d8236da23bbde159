import { MillraceError, type NetAddress } from '@millrace/core'

/** `host:port`, where the host may be an IPv6 address in brackets or not. Undefined when it is no such thing. */
export function parseAddress(text: string): NetAddress | undefined {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, Math.max(0, colon)).replace(/^\[(.*)\]$/, '$1')
  const port = Number(text.slice(colon + 1))
  if (colon < 1 || host === '' || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  return { host, port }
}

/**
 * Addresses of name servers from `host:port;host:port`, or a list.
 * @throws MillraceError INVALID_ARGUMENT
 */
export function parseNameservers(nameservers: string | readonly string[]): readonly string[] {
  const list = typeof nameservers === 'string' ? nameservers.split(/[;,]/) : nameservers
  const addresses = list.map(text => text.trim()).filter(text => text !== '')
  for (const address of addresses)
    if (!parseAddress(address))
      throw new MillraceError('INVALID_ARGUMENT', `"${address}" is not a name server address; write host:port`)
  if (addresses.length === 0)
    throw new MillraceError('INVALID_ARGUMENT', 'no name server was given; write nameservers: "host:9876"')
  return addresses
}
