import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const MILLRACE = join(ROOT, 'packages/millrace/bin/millrace')
const run = promisify(execFile)

const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, code]) => ({ language, code }))
const programs = blocks.filter(({ language }) => language === 'ts').map(({ code }) => code)
const commands = blocks.filter(({ language }) => language === 'sh').flatMap(({ code }) => code.trim().split('\n'))

/** Run elsewhere: the first by every developer and CI, the second by the test of the example. */
const RUN_ELSEWHERE = ['npm ci && npm start', 'npx millrace tail delays-by-airport --from first --count 5']

let directory: string
let service: ChildProcess
let nameserver: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-readme-'))
  expect(commands).toContain('npx millrace start')
  const ports = ['--nameserver-port', '0', '--broker-port', '0']
  service = spawn(process.execPath, [MILLRACE, 'start', '--json', ...ports], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(service.stdout!, 'data')) as [Buffer]
  nameserver = (JSON.parse(line.toString()) as { nameserver: string }).nameserver
}, 30_000)

afterAll(async () => {
  if (service.exitCode === null) {
    service.kill('SIGTERM')
    await once(service, 'exit')
  }
  await rm(directory, { recursive: true, force: true })
})

describe('README.md', () => {
  it('has only blocks that a test runs', () => {
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(['ts', 'sh']))
  })

  it('shows commands that do what it says', async () => {
    const outputs = new Map<string, string>()
    for (const command of commands) {
      if (command === 'npx millrace start' || RUN_ELSEWHERE.includes(command)) continue
      expect(command).toMatch(/^npx millrace /)
      const shell = command.replace(/^npx millrace/, `"${process.execPath}" "${MILLRACE}"`)
      const { stdout } = await run('sh', ['-c', shell], { env: { ...process.env, NAMESRV_ADDR: nameserver } })
      outputs.set(command.split(' ').slice(2, 4).join(' '), stdout)
    }
    expect(outputs.get('tail orders')).toBe('{"id":7}\n')
    expect(outputs.get('topic describe')).toMatch(/^broker-a +7 /m)
  }, 30_000)

  it.each(programs.map((code, index) => [index + 1, code] as const))(
    'shows program %i, which compiles and runs',
    async (index, code) => {
      // Inside the work tree, where "millrace" resolves.
      const folder = join(ROOT, `node_modules/.readme-${process.pid}-${index}`)
      await mkdir(folder, { recursive: true })
      try {
        const source = code
          .replaceAll('localhost:9876', nameserver)
          .replace('./data/readme', join(directory, 'embedded'))
        await writeFile(join(folder, 'program.mts'), source)
        const base = join(ROOT, 'tsconfig.base.json')
        const config = {
          extends: base,
          compilerOptions: {
            composite: false,
            noEmit: true,
            declaration: false,
            declarationMap: false,
            typeRoots: [join(ROOT, 'node_modules/@types')],
          },
          files: ['program.mts'],
        }
        await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
        await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(error => {
          throw new Error((error as { stdout: string }).stdout)
        })
        const compiled = await transform(source, { loader: 'ts', format: 'esm', target: 'node20' })
        await writeFile(join(folder, 'program.mjs'), compiled.code)
        await run(process.execPath, [join(folder, 'program.mjs')], { timeout: 20_000 })
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
    40_000,
  )
})
