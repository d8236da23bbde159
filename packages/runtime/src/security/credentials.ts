import type { Credentials } from '@millrace/core'
import { type BrokerConfig, jsonTexts, type NameserverConfig } from '../config/index.js'

/** What this process signs its own requests with; undefined when it signs nothing. */
export function innerCredentials(config: BrokerConfig | NameserverConfig): Credentials | undefined {
  return jsonTexts(config.innerClientAuthenticationCredentials, ['accessKey', 'secretKey'])
}
