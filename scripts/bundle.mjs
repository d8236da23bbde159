// Bundles the command line for a fast start: one file instead of several hundred to find, read and compile.
// Packages with native parts or files of their own to find at run time stay outside.
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const outdir = `${root}packages/millrace/dist/bundle`

await rm(outdir, { recursive: true, force: true })
const shared = {
  absWorkingDir: root,
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  external: ['lmdb', 'piscina', '@opentelemetry/*'],
  metafile: true,
  logLevel: 'warning',
}
const main = await build({
  ...shared,
  entryPoints: { main: 'packages/millrace/dist/cli/main.js' },
  format: 'esm',
  splitting: true,
  // Bundled CommonJS packages call require for node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);",
  },
})
// The workers as CommonJS: the module loader for ESM would cost each thread some megabytes.
const workers = await build({
  ...shared,
  entryPoints: {
    'node-flush-worker': 'packages/storage/dist/worker/node-flush-worker.js',
    'node-index-worker': 'packages/storage/dist/worker/node-index-worker.js',
  },
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
})
const outputs = [...Object.values(main.metafile.outputs), ...Object.values(workers.metafile.outputs)]
const bytes = outputs.reduce((sum, output) => sum + output.bytes, 0)
console.log(`bundle: ${outputs.length} files, ${(bytes / 1024).toFixed(0)} KiB`)
