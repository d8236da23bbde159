import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig, readConfigFile } from '../../src/config/index.js'
import { parsePropertiesText } from '../../src/config/properties.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-config-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function file(name: string, content: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

describe('parsePropertiesText', () => {
  it('reads separators, comments, escapes and continued lines, with the line each began on', () => {
    const text = '# comment\n! too\nbrokerName = a\nbrokerId:0\n\nregionId  x\\\n   y\r\nk\\:1=\\u00e4\\\\\nempty\n'
    expect(parsePropertiesText(text, 'f')).toEqual([
      { key: 'brokerName', value: 'a', origin: 'f:3' },
      { key: 'brokerId', value: '0', origin: 'f:4' },
      { key: 'regionId', value: 'xy', origin: 'f:6' },
      { key: 'k:1', value: 'ä\\', origin: 'f:8' },
      { key: 'empty', value: '', origin: 'f:9' },
    ])
  })
})

describe('readConfigFile', () => {
  it('takes a broker.conf as RocketMQ users write it', async () => {
    const path = await file(
      'broker.conf',
      'brokerClusterName = C\nbrokerName = b\nbrokerId = 0\ndeleteWhen = 04\nfileReservedTime = 48\nbrokerRole = ASYNC_MASTER\nflushDiskType = ASYNC_FLUSH\n',
    )
    const { broker, warnings } = loadConfig({ file: await readConfigFile(path) })
    expect(broker).toMatchObject({
      brokerClusterName: 'C',
      brokerName: 'b',
      fileReservedTime: 48,
      flushDiskType: 'ASYNC_FLUSH',
    })
    expect(warnings).toEqual([])
  })

  it('takes JSON with a part per role, and finds the line of a mistake', async () => {
    const good = await file('a.json', '{ "listenPort": 1, "nameserver": { "listenPort": 2 } }')
    const { broker, nameserver } = loadConfig({ file: await readConfigFile(good) })
    expect([broker.listenPort, nameserver.listenPort]).toEqual([1, 2])
    const bad = await file('b.json', '{\n  "listenPort": 1,\n  "nope": 1\n}')
    await expect(readConfigFile(bad).then(entries => loadConfig({ file: entries }))).rejects.toThrow(
      `"nope" (${bad}:3)`,
    )
  })

  it.each(['ts', 'mjs'])('takes the default export of a .%s module', async extension => {
    const annotation = extension === 'ts' ? ' satisfies Record<string, unknown>' : ''
    const path = await file(`config.${extension}`, `export default { regionId: 'r', listenPort: 7 }${annotation}\n`)
    expect(loadConfig({ file: await readConfigFile(path) }).broker).toMatchObject({ regionId: 'r', listenPort: 7 })
  })

  it.each([
    ['missing.conf', undefined, 'cannot read'],
    ['broken.json', '{', 'cannot read'],
    ['list.json', '[]', 'no object'],
    ['none.mjs', 'export const a = 1', 'default export'],
  ])('refuses %s with a sentence', async (name, content, sentence) => {
    const path = content === undefined ? join(directory, name) : await file(name, content)
    await expect(readConfigFile(path)).rejects.toThrow(sentence)
  })
})
