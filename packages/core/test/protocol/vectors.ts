import { readFileSync } from 'node:fs'

/** Cases of a golden file made with the official Java library; see `test/vectors/README.md`. */
export function vectors<C>(name: string): C[] {
  return (JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')) as { cases: C[] }).cases
}

export function hex(text: string | null): Uint8Array | undefined {
  return text === null ? undefined : Buffer.from(text, 'hex')
}
