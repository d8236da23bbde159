/** Language names by their binary code. remoting.md §4 */
const LANGUAGES = [
  'JAVA',
  'CPP',
  'DOTNET',
  'PYTHON',
  'DELPHI',
  'ERLANG',
  'RUBY',
  'OTHER',
  'HTTP',
  'GO',
  'PHP',
  'OMS',
  'RUST',
  'NODE_JS',
] as const

const OTHER = 7
const CODES: ReadonlyMap<string, number> = new Map(LANGUAGES.map((name, code) => [name, code]))

/** Name of a binary language code; OTHER when the code is unknown. */
export function languageName(code: number): string {
  return LANGUAGES[code] ?? 'OTHER'
}

/** Binary code of a language name; that of OTHER when the name is unknown. */
export function languageCode(name: string): number {
  return CODES.get(name) ?? OTHER
}
