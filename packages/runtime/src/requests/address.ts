import { formatAddress, type NetAddress } from '@millrace/core'

/** IPv4 inside IPv6, as a dual-stack listener reports it. */
const MAPPED_IPV4 = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i

/** `host:port` as clients read it: IPv4 without its IPv6 wrapping, IPv6 in brackets. */
export function addressText({ host, port }: NetAddress): string {
  return formatAddress({ host: host.replace(MAPPED_IPV4, ''), port })
}
