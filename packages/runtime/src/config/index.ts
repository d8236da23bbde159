export type { BrokerConfig } from './broker-settings.js'
export { jsonTexts, ownCredentials, requestCodes } from './check-security.js'
export { type ConfigRow, configTable, type SettingDoc, settingDocs } from './describe.js'
export {
  brokerConfig,
  type ConfigEntry,
  type ConfigSources,
  environmentName,
  type LoadedConfig,
  loadConfig,
  nameserverConfig,
  type Origins,
  type Role,
} from './load.js'
export type { NameserverConfig } from './nameserver-settings.js'
export { type ConfigModule, readConfigFile } from './node-config-file.js'
export { parsePropertiesText } from './properties.js'
export { didYouMean, nearest } from './suggest.js'
