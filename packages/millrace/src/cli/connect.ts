import type { Client } from '@millrace/client'
import type { ConnectingOptions } from './common.js'

/** A client of the service that the options name. Loads the client only now. */
export async function connect(options: ConnectingOptions): Promise<Client> {
  const { Client } = await import('@millrace/client')
  return Client.connect({ nameservers: options.nameserver })
}
