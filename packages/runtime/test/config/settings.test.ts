import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { expect, it } from 'vitest'
import { settingDocs } from '../../src/config/index.js'
import { unsupportedProperties } from '../../src/config/unsupported-properties.js'

const SOURCES = join(import.meta.dirname, '../../src')

/** Said to be fixed, or looked at by the loader itself. */
const WITHOUT_READER = ['brokerRole', 'insecure']

const names = [...new Set(settingDocs().map(({ key }) => key.replace('nameserver.', '')))]

it('offers no setting that nothing reads', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter(
    path => path.endsWith('.ts') && !path.startsWith(`config${sep}`),
  )
  const code = files.map(path => readFileSync(join(SOURCES, path), 'utf8')).join('\n')
  const unread = names.filter(name => !new RegExp(`\\b${name}\\b`).test(code))
  expect(unread.filter(name => !WITHOUT_READER.includes(name))).toEqual([])
})

it('does not say that a setting has no effect and offer it too', () => {
  expect(names.filter(name => unsupportedProperties.has(name))).toEqual([])
})
