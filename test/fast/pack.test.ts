import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'

interface Packed {
  readonly name: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>
  readonly bin?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
}

const ROOT = join(import.meta.dirname, '../..')
const FOLDERS = ['core', 'storage', 'client', 'runtime', 'millrace']

/** All packages in one call: npm itself takes longer than the work. */
let dryRun: Promise<readonly Packed[]> | undefined
const packAll = async (): Promise<readonly Packed[]> => {
  const args = ['pack', '--workspaces', '--dry-run', '--json', '--ignore-scripts']
  return JSON.parse((await promisify(execFile)('npm', args, { cwd: ROOT })).stdout) as Packed[]
}

describe.each(FOLDERS)('the package in packages/%s', folder => {
  let paths: Set<string>
  let packed: Packed
  let manifest: Manifest
  beforeAll(async () => {
    manifest = JSON.parse(await readFile(join(ROOT, 'packages', folder, 'package.json'), 'utf8')) as Manifest
    dryRun ??= packAll()
    const found = (await dryRun).find(({ name }) => name === manifest.name)
    if (!found) throw new Error(`npm packs no ${manifest.name}`)
    packed = found
    paths = new Set(packed.files.map(({ path }) => path))
  }, 60_000)

  it('holds what it exports, with types, a README and the licence', () => {
    const targets = Object.values(manifest.exports).flatMap(({ types, default: code }) => [types, code])
    for (const target of [...targets, ...Object.values(manifest.bin ?? {}), 'README.md', 'LICENSE'])
      expect(paths, target).toContain(target.replace('./', ''))
    expect(manifest.license).toBe('Apache-2.0')
  })

  it('holds no source, test or build state, and is small', () => {
    const surplus = [...paths].filter(path => /(^src\/|(^|\/)test\/|\.map$|tsbuildinfo|(?<!\.d)\.ts$)/.test(path))
    expect(surplus).toEqual([])
    expect(packed.size).toBeLessThan(1024 * 1024)
  })

  it('depends on its sisters in its own version', () => {
    for (const [name, range] of Object.entries(manifest.dependencies ?? {}))
      if (name.startsWith('@millrace/')) expect(range, name).toBe(manifest.version)
  })
})
