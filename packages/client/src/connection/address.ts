import { MillraceError, type NetAddress, parseAddress } from '@millrace/core'

/**
 * Addresses of name servers from `host:port;host:port`, or a list.
 * @throws MillraceError INVALID_ARGUMENT
 */
export function parseNameservers(nameservers: string | readonly string[]): readonly string[] {
  const list = typeof nameservers === 'string' ? nameservers.split(/[;,]/) : nameservers
  const addresses = list.map(text => text.trim()).filter(text => text !== '')
  for (const address of addresses) addressOf(address)
  if (addresses.length === 0)
    throw new MillraceError('INVALID_ARGUMENT', 'no name server was given; write nameservers: "host:9876"')
  return addresses
}

/** @throws MillraceError INVALID_ARGUMENT when `text` is not `host:port`. */
export function addressOf(text: string): NetAddress {
  const address = parseAddress(text)
  if (!address || address.port === 0)
    throw new MillraceError('INVALID_ARGUMENT', `"${text}" is not an address; write host:port`)
  return address
}
