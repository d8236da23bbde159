import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Disk } from '@millrace/core'
import { nodeDisk, nodeEnvironment } from '@millrace/core/node'
import { memoryDisk } from '@millrace/core/testkit'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ChangeJournal, type JournaledChange } from '../../src/metadata/change-journal.js'
import { MetadataStore } from '../../src/metadata/metadata-store.js'

const version = { stateVersion: 0, timestamp: 1, counter: 1 }

function change(sequence: number, value: unknown): JournaledChange {
  return { sequence, table: 'topics', key: `t${sequence}`, value, version }
}

function reopened(disk: Disk): readonly JournaledChange[] {
  return ChangeJournal.open(disk, '/journal').found
}

describe('change journal', () => {
  it('gives back what was appended, removals too', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.jsonValue(), { nil: undefined })), values => {
        const disk = memoryDisk()
        const journal = ChangeJournal.open(disk, '/journal')
        const changes = values.map((value, i) => change(i + 1, value))
        for (const one of changes) expect(journal.append(one)).toBe(true)
        expect(reopened(disk)).toEqual(changes)
      }),
    )
  })

  it('ends before the first record that is cut or has a wrong bit, wherever that is', () => {
    const disk = memoryDisk()
    const journal = ChangeJournal.open(disk, '/journal')
    const ends: number[] = []
    for (let i = 1; i <= 3; i++) {
      journal.append(change(i, { queues: i }))
      ends.push(journal.sizeBytes)
    }
    const whole = Buffer.alloc(journal.sizeBytes)
    const file = disk.open('/journal', 'write')
    disk.read(file, whole, 0, whole.length, 0)
    const intact = (at: number) => ends.filter(end => end <= at).length
    for (let at = 0; at < whole.length; at++) {
      disk.truncate(file, at)
      expect(reopened(disk)).toHaveLength(intact(at))
      disk.write(file, whole, 0, whole.length, 0)
      disk.write(file, Uint8Array.of(whole[at]! ^ 1), 0, 1, at)
      expect(reopened(disk)).toHaveLength(intact(at))
      disk.write(file, whole, 0, whole.length, 0)
    }
  })

  it('does not take up records of an earlier time behind its end', () => {
    const disk = memoryDisk()
    const first = ChangeJournal.open(disk, '/journal')
    for (const sequence of [7, 8, 3]) first.append(change(sequence, 0))
    expect(reopened(disk).map(found => found.sequence)).toEqual([7, 8])
  })
})

describe('a metadata store with journal', () => {
  let directory: string
  const stores: MetadataStore[] = []

  async function open(disk: Disk = nodeDisk): Promise<MetadataStore> {
    const environment = { ...nodeEnvironment(), disk }
    const store = await MetadataStore.open(directory, { environment, durability: 'committed' })
    stores.push(store)
    return store
  }
  const journalPath = () => join(directory, 'metadata/journal')

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-journal-'))
  })
  afterEach(async () => {
    await Promise.all(stores.splice(0).map(store => store.close()))
    rmSync(directory, { recursive: true, force: true })
  })

  it('takes from the journal what the database does not have, and nothing twice', async () => {
    const first = await open()
    const topics = first.table<number>('topics')
    await topics.put('old', 1)
    await first.close()
    const second = await open()
    await second.table<number>('topics').put('kept', 2)
    await second.table<number>('topics').put('old', 3)
    await second.table<number>('topics').remove('old')
    const journal = readFileSync(journalPath())
    await second.close()

    // As if the process had been killed: the journal is still there, the database is one change behind it.
    const missing = ChangeJournal.open(nodeDisk, journalPath())
    missing.append({ sequence: 5, table: 'topics', key: 'last', value: 9, version: { ...version, counter: 5 } })
    missing.close()
    writeFileSync(journalPath(), Buffer.concat([journal, readFileSync(journalPath())]))
    const third = await open()
    expect([...third.table<number>('topics').entries()]).toEqual([
      ['kept', 2],
      ['last', 9],
    ])
    expect(third.table('topics').version.counter).toBe(5)
    expect(statSync(journalPath()).size).toBe(0)
  })

  it('is empty again after a good end', async () => {
    const store = await open()
    await store.table('topics').put('a', 1)
    expect(statSync(journalPath()).size).toBeGreaterThan(0)
    await store.close()
    expect(statSync(journalPath()).size).toBe(0)
  })

  it('does not grow without end', async () => {
    const store = await open()
    const topics = store.table<string>('topics')
    for (let i = 0; i < 60; i++) await topics.put('same', 'x'.repeat(100_000))
    expect(statSync(journalPath()).size).toBeGreaterThan(1_000_000)
    await vi.waitFor(() => expect(statSync(journalPath()).size).toBe(0), { timeout: 10_000 })
  })

  it('stores the direct way what the journal cannot take', async () => {
    const refusing: Disk = {
      ...nodeDisk,
      write: () => {
        throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
      },
    }
    const first = await open(refusing)
    await first.table('topics').put('a', 1)
    await first.close()
    const second = await open()
    expect(second.table('topics').get('a')).toBe(1)
  })
})
