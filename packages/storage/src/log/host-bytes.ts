import { type NetAddress, parseIp } from '@millrace/core'

/**
 * A host as records carry it: 4 or 16 address bytes, then the port in 4. A name that is no IP address becomes
 * 0.0.0.0: records have no room for names.
 */
export function encodeHost(address: NetAddress): Buffer {
  const ip = parseIp(address.host) ?? ANY_IPV4
  const bytes = Buffer.alloc(ip.length + 4)
  bytes.set(ip)
  bytes.writeUInt32BE(address.port, ip.length)
  return bytes
}

const ANY_IPV4 = new Uint8Array(4)
