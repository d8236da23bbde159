// Bundles the simulation (TypeScript) and runs it; see test/simulation/main.ts.
import { mkdirSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const directory = fileURLToPath(new URL('../test/simulation/target/', import.meta.url))
mkdirSync(directory, { recursive: true })
const outfile = `${directory}main.mjs`
await build({
  entryPoints: [fileURLToPath(new URL('../test/simulation/main.ts', import.meta.url))],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
})
await import(pathToFileURL(outfile).href)
