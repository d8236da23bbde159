import { createInterface } from 'node:readline/promises'
import { Interrupted, UsageError } from './failure.js'
import type { CommandIo } from './io.js'

/**
 * Asks a person to type a name before something is destroyed.
 * @throws UsageError without a terminal to ask on, or for another name; Interrupted after Ctrl-C
 */
export async function confirm(io: CommandIo, name: string, warning: string): Promise<void> {
  if (!io.input.isTTY) throw new UsageError(`${warning} Repeat the command with --yes, or look first with --dry-run`)
  io.talk(`${warning}\nType "${name}" to go on: `)
  const lines = createInterface({ input: io.input })
  try {
    const answer = await lines.question('', { signal: io.stopSignal })
    if (answer.trim() !== name) throw new UsageError('that is another name; nothing was deleted')
  } catch (error) {
    throw io.stopSignal.aborted ? new Interrupted() : error
  } finally {
    lines.close()
  }
}
