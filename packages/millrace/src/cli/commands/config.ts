import type { Command } from 'commander'
import { type CommandContext, command, handle } from '../common.js'
import { type ConfiguringOptions, configuring, loadFor } from '../configuring.js'
import { formatTable } from '../table.js'

export function configCommand(context: CommandContext): Command {
  const show = configuring(
    command('show', 'Show every setting, its value and where that came from', [
      'millrace config show',
      'millrace config show -c broker.conf --role broker',
      'MILLRACE_FILE_RESERVED_TIME=48 millrace config show --json',
    ]),
  ).option('--docs', 'explain each setting, with its default and what is expected')
  return command('config', 'Look at the configuration', ['millrace config show']).addCommand(
    handle<ConfiguringOptions & { readonly docs?: boolean }>(show, context, async (io, options) => {
      const { configTable, settingDocs } = await import('@millrace/runtime/config')
      if (options.docs) {
        const docs = settingDocs()
        if (options.json) return io.out(`${JSON.stringify(docs)}\n`)
        for (const { key, initial, expected, environment, doc } of docs)
          io.out(`${key} = ${initial}\n    ${doc}\n    ${expected}; or ${environment}\n`)
        return
      }
      const rows = configTable(await loadFor(io, options))
      if (options.json) return io.out(`${JSON.stringify(rows)}\n`)
      io.out(
        formatTable(
          ['KEY', 'VALUE', 'FROM'],
          rows.map(({ key, value, origin }) => [key, value === '' ? '-' : value, origin]),
        ),
      )
    }),
  )
}
