import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './children.js'
import { goProgram, missingTool } from './tools.js'

const here = fileURLToPath(new URL('.', import.meta.url))

/** Once before all test files, which run at the same time: resolves and builds what they share. */
export async function setup(): Promise<void> {
  if (!missingTool('java') && !missingTool('mvn')) {
    await run('mvn', ['-q', '-B', 'process-classes'], { cwd: join(here, 'java'), timeoutMs: 280_000 })
    await run('mvn', ['-q', '-B', 'package'], { cwd: join(here, '../../bench/apache'), timeoutMs: 280_000 })
  }
  if (!missingTool('go')) {
    await run('go', ['build', '-o', goProgram, '.'], { cwd: join(here, 'go'), timeoutMs: 280_000 })
  }
}
