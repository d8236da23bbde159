import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const found = new Map<string, boolean>()

/** What to tell the user when `tool` is not installed, or undefined. */
export function missingTool(tool: 'java' | 'mvn' | 'go'): string | undefined {
  if (!found.has(tool)) {
    try {
      execFileSync(tool, [tool === 'java' ? '-version' : tool === 'go' ? 'version' : '--version'], { stdio: 'ignore' })
      found.set(tool, true)
    } catch {
      found.set(tool, false)
    }
  }
  const names = { java: 'Java 11 or newer', mvn: 'Maven', go: 'Go' }
  return found.get(tool) ? undefined : `${names[tool]} is not installed ("${tool}" cannot be run)`
}

export const javaClassPath = `${join(here, 'java/target/classes')}:${join(here, 'java/target/lib')}/*`

export const goProgram = join(here, 'go/target/interop')

/** The Node client's program, or why it is missing. */
export function nodeProgram(): string {
  return join(here, 'ali-ons/main.mjs')
}

export function missingNodeClient(): string | undefined {
  return existsSync(join(here, '../../node_modules/ali-ons')) ? undefined : 'ali-ons is not installed (npm ci)'
}
