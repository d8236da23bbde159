import type { ConfigEntry } from './load.js'

/**
 * Reads the text of a Java properties file (`broker.conf`): `key=value`, `key: value` or `key value` lines, `#` and `!`
 * comments, a backslash at the end of a line joins it with the next, `\t \n \uXXXX` escapes.
 * @param name  the file's name, for origins such as `broker.conf:3`
 */
export function parsePropertiesText(content: string, name: string): ConfigEntry[] {
  const entries: ConfigEntry[] = []
  const lines = content.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  for (let index = 0; index < lines.length; index++) {
    const origin = `${name}:${index + 1}`
    let line = lines[index].trimStart()
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue
    while (endsWithContinuation(line) && index + 1 < lines.length) line = line.slice(0, -1) + lines[++index].trimStart()
    const [, key, value] = /^((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)$/s.exec(line) ?? ['', line, '']
    entries.push({ key: decodeEscapes(key), value: decodeEscapes(value).trimEnd(), origin })
  }
  return entries
}

function endsWithContinuation(line: string): boolean {
  return (/\\*$/.exec(line)?.[0].length ?? 0) % 2 === 1
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function decodeEscapes(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, code: string | undefined, letter: string) =>
    code === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16)),
  )
}
