/** Columns aligned with blanks, one record a line, the first row as heading. Numbers are right-aligned. */
export function formatTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [head, ...rows].map(row => row.map(String))
  const widths = head.map((_, column) => Math.max(...lines.map(line => line[column].length)))
  const isNumeric = head.map((_, column) => rows.length > 0 && rows.every(row => typeof row[column] === 'number'))
  return lines
    .map(line =>
      line
        .map((cell, column) => (isNumeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .map(line => `${line}\n`)
    .join('')
}

/** 1234567 → "1,234,567". */
export const formatCount = (value: number): string => Math.round(value).toLocaleString('en-US')
