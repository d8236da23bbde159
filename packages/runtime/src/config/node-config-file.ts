import { readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '@millrace/core'
import type { BrokerConfig } from './broker-settings.js'
import type { ConfigEntry } from './load.js'
import type { NameserverConfig } from './nameserver-settings.js'
import { parsePropertiesText } from './properties.js'

/** What a `.json` file holds, and what a `.ts` or `.mjs` file exports as default. */
export type ConfigModule = Partial<BrokerConfig> & {
  readonly broker?: Partial<BrokerConfig>
  readonly nameserver?: Partial<NameserverConfig>
}

/** Node 20 cannot strip types itself. Not named in the import: it looks for files of its own, which a bundle has not. */
const TYPE_STRIPPER = 'jiti'

/**
 * Reads a configuration file: `.json`, a `.ts`, `.mts`, `.js` or `.mjs` module, anything else as Java properties (`broker.conf`).
 * @throws MillraceError INVALID_CONFIG when it cannot be read or is not of its form; keys are checked by `loadConfig`
 */
export async function readConfigFile(path: string): Promise<ConfigEntry[]> {
  try {
    switch (extname(path)) {
      case '.json': {
        const content = await readFile(path, 'utf8')
        return fromObject(JSON.parse(content), path).map(entry => ({
          ...entry,
          origin: `${path}:${lineOf(content, entry.key)}`,
        }))
      }
      case '.js':
      case '.mjs':
        return fromObject(defaultExport(await import(pathToFileURL(resolve(path)).href), path), path)
      case '.ts':
      case '.mts': {
        const { createJiti } = (await import(TYPE_STRIPPER)) as typeof import('jiti')
        return fromObject(defaultExport(await createJiti(import.meta.url).import(resolve(path)), path), path)
      }
      default:
        return parsePropertiesText(await readFile(path, 'utf8'), path)
    }
  } catch (error) {
    if (error instanceof MillraceError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new MillraceError('INVALID_CONFIG', `cannot read the configuration file "${path}": ${reason}`, {
      cause: error,
    })
  }
}

/** Line of a key, the first one of that name: good enough to find it. */
function lineOf(content: string, key: string): number {
  const bare = key.slice(key.indexOf('.') + 1)
  const start = Math.max(0, content.indexOf(JSON.stringify(bare)))
  return content.slice(0, start).split('\n').length
}

function defaultExport(module: unknown, path: string): unknown {
  if (typeof module === 'object' && module !== null && 'default' in module) return module.default
  throw new MillraceError(
    'INVALID_CONFIG',
    `the configuration file "${path}" has no default export; export default { … }`,
  )
}

function fromObject(value: unknown, path: string): ConfigEntry[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MillraceError('INVALID_CONFIG', `the configuration file "${path}" holds no object of properties`)
  return Object.entries(value).flatMap(([key, inner]): ConfigEntry[] =>
    (key === 'nameserver' || key === 'broker') && typeof inner === 'object' && inner !== null
      ? Object.entries(inner).map(([name, nested]) => ({
          key: `${key}.${name}`,
          value: nested as unknown,
          origin: path,
        }))
      : [{ key, value: inner as unknown, origin: path }],
  )
}
