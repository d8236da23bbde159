import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('carries types from source to sink, and makes mistakes compile errors', () => {
  const compiler = fileURLToPath(import.meta.resolve('typescript/package.json')).replace('package.json', 'bin/tsc')
  const project = fileURLToPath(new URL('types/tsconfig.json', import.meta.url))
  const result = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' })
  expect(result.stdout).toBe('')
  expect(result.status).toBe(0)
}, 60_000)
