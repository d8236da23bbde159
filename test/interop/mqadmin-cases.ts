import { stripVTControlCharacters } from 'node:util'
import { expect } from 'vitest'
import type { Driver } from './driver.js'
import type { Verb } from './mqadmin-verbs.js'
import { feature } from './report.js'
import { apache, type Target, type TargetKind } from './targets.js'

const TRY_MS = 60_000

/** What the verbs of one broker are run with. */
export interface Stage {
  readonly target: Target
  readonly id: string
  readonly offsetId: string
  readonly dir: string
}

/** Output without what differs from run to run, lines in order. */
function plain(output: string, dropsNumbers: boolean): string[] {
  const text = stripVTControlCharacters(output)
    .replace(/\b[0-9A-F]{32,}\b/g, '<id>')
    .replace(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([,.:]\d+)?/g, '<time>')
    .replace(/127\.0\.0\.1(:\d+)?/g, '<address>')
    .replace(/\b1[78]\d{11}\b/g, '<ms>')
    .replace(/\/tmp\/\S+/g, '<file>')
  const lines = (dropsNumbers ? text.replace(/-?\d+(\.\d+)?(E-?\d+)?/g, '#') : text).split('\n')
  return lines
    .filter(line => !/^\s+at |^\s*\.\.\. \S+ more/.test(line))
    .map(line => line.replace(/\s+/g, ' ').trim())
    .filter(Boolean)
    .sort()
}

const names = (output: string) => [
  ...new Set([...output.matchAll(/^\s*([A-Za-z][\w]*)\s*[:=]/gm)].map(match => match[1]!)),
]

/** Declares one case per verb and broker; Millrace's is compared with what Apache's gave, where that has run. */
export function verbCases(
  kinds: readonly TargetKind[],
  verbs: readonly Verb[],
  stageOf: (kind: TargetKind) => Stage,
  driverOf: (kind: TargetKind) => Driver,
  user?: readonly [string, string],
): void {
  for (const verb of verbs) {
    let reference: string | undefined
    for (const kind of kinds) {
      if (verb.like === 'none' && kind !== apache) continue
      const body = async () => {
        const { target, id, offsetId, dir } = stageOf(kind)
        const { broker, nameServer } = target
        const values: Record<string, string> = { broker, nameServer, id, offsetId, dir }
        const words = verb.words.split(' ').map(word => word.replace(/\{(\w+)\}/g, (_, name: string) => values[name]!))
        const output = await driverOf(kind).mqadmin(target, words, user)
        if (verb.refused === undefined) expect(output).not.toMatch(/Exception:|\berror\b/)
        else expect(output).toMatch(new RegExp(`CODE: ${verb.refused}\\b`))
        if (verb.shows) expect(output).toMatch(verb.shows)
        if (kind === apache) reference = output
        else if (reference !== undefined) compare(verb, reference, output)
      }
      feature(kind.name, 'mqadmin 5.5.0', `\`${verb.words}\``, body, TRY_MS)
    }
  }
}

function compare({ like }: Verb, apacheSaid: string, millraceSaid: string): void {
  if (like === 'keys') expect(names(millraceSaid)).toEqual(expect.arrayContaining(names(apacheSaid)))
  if (like === 'equal' || like === 'shape')
    expect(plain(millraceSaid, like === 'shape')).toEqual(plain(apacheSaid, like === 'shape'))
}
