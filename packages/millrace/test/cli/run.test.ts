import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run } from './harness.js'

const COMMANDS = [
  ['start'],
  ['topic'],
  ['topic', 'create'],
  ['topic', 'list'],
  ['topic', 'describe'],
  ['topic', 'delete'],
  ['group'],
  ['group', 'list'],
  ['group', 'describe'],
  ['send'],
  ['tail'],
  ['bench'],
  ['config'],
  ['config', 'show'],
]

describe('the command line', () => {
  it.each(COMMANDS.map(path => path.join(' ')))(
    'helps with "%s": usage, options and examples on stdout',
    async path => {
      const { exitCode, out, talk } = await run([...path.split(' '), '--help'])
      expect(exitCode).toBe(0)
      expect(talk).toBe('')
      expect(out).toContain(`Usage: millrace ${path} [options]`)
      expect(out).toMatch(/--json .*JSON/)
      expect(out).toMatch(new RegExp(`Examples:\\n {2}\\$ .*millrace ${path}`))
    },
  )

  it('shows all commands and the exit codes when asked for help, and asks for a command without one', async () => {
    const help = await run(['--help'])
    expect(help.exitCode).toBe(0)
    for (const name of ['start', 'topic', 'group', 'send', 'tail', 'bench', 'config'])
      expect(help.out).toContain(`  ${name} `)
    expect(help.out).toContain('Exit codes: 0')
    const nothing = await run([])
    expect(nothing).toMatchObject({ exitCode: 2, out: '' })
    expect(nothing.talk).toContain('Usage:')
  })

  it('tells its version', async () => {
    expect(await run(['--version'])).toMatchObject({ exitCode: 0, out: '1.2.3\n' })
  })

  it.each([
    [['strat'], /unknown command 'strat'\n\(Did you mean start\?\)/],
    [['start', '--fluhs', 'sync'], /unknown option '--fluhs'\n\(Did you mean --flush\?\)/],
    [['start', '--flush', 'never'], /Allowed choices are sync, async/],
    [['start', '--broker-port', 'many'], /It must be a whole number/],
    [['topic', 'create'], /missing required argument 'topic'/],
    [['bench', 'sned'], /choose send, pull or e2e/],
    [['send', 'a', 'b', '--property', 'c'], /It must be written as key=value/],
    [['tail', 'a', '--from', 'whenever'], /It must be first, last, a time/],
  ])('refuses %j with exit code 2', async (args, message) => {
    const { exitCode, out, talk } = await run(args)
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' })
    expect(talk).toMatch(/^error USAGE: /)
    expect(talk).toMatch(message)
  })

  it('writes errors as one JSON line after --json', async () => {
    for (const args of [
      ['strat', '--json'],
      ['config', 'show', '--set', 'nope=1', '--json'],
      ['topic', 'list', '--json', '--nameserver', 'x'],
    ]) {
      const { talk, exitCode } = await run(args)
      expect(exitCode).toBe(2)
      expect(JSON.parse(talk)).toEqual({
        error: expect.objectContaining({ code: expect.any(String), message: expect.any(String) }),
      })
    }
  })

  it('says code, sentence and fix when no service answers, and shows the stack only when asked to', async () => {
    const args = ['topic', 'list', '--nameserver', '127.0.0.1:1']
    const plain = await run(args)
    expect(plain.exitCode).toBe(1)
    expect(plain.talk).toMatch(/^error CONNECT_FAILED: .*127\.0\.0\.1:1.*\nfix: .*millrace start.*\n$/s)
    expect(plain.talk).not.toMatch(/^ +at /m)
    expect((await run([...args, '--debug'])).talk).toMatch(/^ +at /m)
  })

  it('colours errors on a terminal only, and not when told not to', async () => {
    const args = ['config', 'show', '--set', 'nope=1']
    const hasColor = async (more: string[], environment = {}, isTerminal = true): Promise<boolean> =>
      (await run([...args, ...more], { environment, isTerminal })).talk.includes('\u001b[')
    expect(await hasColor([])).toBe(true)
    expect(await hasColor([], {}, false)).toBe(false)
    expect(await hasColor(['--no-color'])).toBe(false)
    expect(await hasColor([], { NO_COLOR: '1' })).toBe(false)
  })
})

describe('millrace config show', () => {
  it('lists each key with its value and where it came from', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
    try {
      const file = join(directory, 'broker.conf')
      await writeFile(file, '# ours\nfileReservedTime=48\nhaListenPort=1\n')
      const { exitCode, out, talk } = await run(['config', 'show', '-c', file, '--flush', 'async', '--data', '/x'], {
        environment: { MILLRACE_BROKER_NAME: 'b' },
      })
      expect(exitCode).toBe(0)
      expect(out).toMatch(new RegExp(`^fileReservedTime +48 +${file}:2$`, 'm'))
      expect(out).toMatch(/^flushDiskType +ASYNC_FLUSH +--flush$/m)
      expect(out).toMatch(/^brokerName +b +MILLRACE_BROKER_NAME$/m)
      expect(out).toMatch(/^nameserver.storePathRootDir +\/x +--data$/m)
      expect(talk).toContain(`haListenPort (${file}:3)`)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  it('explains each key with --docs', async () => {
    const { out } = await run(['config', 'show', '--docs'])
    expect(out).toMatch(/^flushDiskType = SYNC_FLUSH\n {4}When a send is acknowledged/m)
  })
})
