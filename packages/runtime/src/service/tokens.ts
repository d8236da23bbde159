import type { ActorSystem, Environment } from '@millrace/core'
import type { KeyValue, LogStore, MetadataStore } from '@millrace/storage'
import type { InjectionToken } from 'tsyringe'
import type { LoadedConfig } from '../config/index.js'

/** What the composition root hands around. */
export const TOKEN = {
  config: Symbol('config') as InjectionToken<LoadedConfig>,
  environment: Symbol('environment') as InjectionToken<Environment>,
  system: Symbol('actor system') as InjectionToken<ActorSystem>,
  metadata: Symbol('metadata store') as InjectionToken<MetadataStore>,
  store: Symbol('log store') as InjectionToken<LogStore>,
  timers: Symbol('timer index') as InjectionToken<KeyValue>,
}
