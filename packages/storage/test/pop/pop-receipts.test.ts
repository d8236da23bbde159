import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Disk } from '@millrace/core'
import { nodeEnvironment } from '@millrace/core/node'
import { memoryDisk, simulate } from '@millrace/core/testkit'
import {
  ConsumerOffsets,
  type KeyValue,
  KeyValueStore,
  MetadataStore,
  memoryKeyValue,
  type PopQueue,
  type PopReceipt,
  PopReceipts,
} from '@millrace/storage'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ReceiptJournal } from '../../src/pop/receipt-journal.js'

const simulation = simulate({ seed: 1 })
const { scheduler } = simulation

type Op =
  | { readonly kind: 'pop'; readonly count: number; readonly gap: number; readonly invisibleMs: number }
  | { readonly kind: 'ack' | 'change'; readonly pick: number }
  | { readonly kind: 'expire'; readonly share: number }
  | { readonly kind: 'commit' | 'store' | 'crash' }

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({
    kind: fc.constant('pop' as const),
    count: fc.integer({ min: 1, max: 32 }),
    gap: fc.integer({ min: 0, max: 2 }),
    invisibleMs: fc.integer({ min: 0, max: 50 }),
  }),
  fc.record({ kind: fc.constantFrom('ack' as const, 'ack' as const, 'change' as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant('expire' as const), share: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ kind: fc.constantFrom('commit' as const, 'store' as const, 'crash' as const) }),
)

/** One process that pops: its receipts, and what its consumers hold. */
interface Process {
  readonly metadata: MetadataStore
  readonly queue: PopQueue
}

describe.each([
  ['stored at once', false],
  ['with a journal', true],
] as const)('receipts %s', (_name, isJournaled) => {
  it('keep every message either waiting, in one receipt, or done, whenever the process dies', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 40 }), async ops => {
        const keyValue = memoryKeyValue()
        const disk = memoryDisk()
        let process = await open(keyValue, disk, isJournaled)
        let now = 1_000
        /** Handles of consumers, also of those whose process died. */
        let handles: { readonly receipt: PopReceipt; readonly offset: number }[] = []
        /** Skipped by a filter, or taken care of; the second set also after a crash. */
        let done = new Set<number>()
        let doneForSure = new Set<number>()
        let poppedForSure = 0
        const next = (): number => process.metadata.offsets.get('g', 't', 0) ?? 0
        const commit = async (): Promise<void> => {
          const [before, end] = [new Set(done), next()]
          await simulation.runUntilSettled(process.metadata.receipts.commit())
          doneForSure = before
          poppedForSure = end
        }
        for (const step of ops) {
          const { queue, metadata } = process
          const { receipts } = metadata
          now += 1
          switch (step.kind) {
            case 'pop': {
              const first = next()
              const offsets = Array.from({ length: step.count }, (_, i) => first + i * (1 + step.gap))
              const end = offsets.at(-1)! + 1
              for (let offset = first; offset < end; offset++) if (!offsets.includes(offset)) done.add(offset)
              const receipt = receipts.add(queue, first, now, step.invisibleMs, offsets)
              receipts.moveTo(queue, end)
              for (const offset of offsets) handles.push({ receipt, offset })
              break
            }
            case 'ack':
            case 'change': {
              const handle = handles[step.pick % Math.max(1, handles.length)]
              if (handle === undefined) break
              const { dueMs, startOffset } = handle.receipt
              const receipt = receipts.receipt(queue, startOffset, dueMs)
              const wasOpen = receipt !== undefined && receipts.acknowledge(receipt, handle.offset)
              if (!wasOpen) break
              if (step.kind === 'ack') done.add(handle.offset)
              else
                handles.push({
                  receipt: receipts.add(queue, handle.offset, now, 20, [handle.offset]),
                  offset: handle.offset,
                })
              break
            }
            case 'expire':
              for (const receipt of receipts.due(now, 5)) {
                const revived = receipt.openOffsets().filter((_, i) => i % 4 >= step.share)
                expect(revived.filter(offset => done.has(offset))).toEqual([])
                for (const offset of revived) done.add(offset)
                expect(receipts.settle(receipt, revived)).toBe(receipt.openOffsets().length === 0)
              }
              break
            case 'commit':
              await commit()
              break
            case 'store':
              await commit()
              await simulation.runUntilSettled(metadata.offsets.flush())
              break
            case 'crash': {
              process = await open(keyValue, disk, isJournaled)
              const open_ = openOffsets(process)
              const end = next()
              expect(end).toBeGreaterThanOrEqual(poppedForSure)
              for (let offset = 0; offset < end; offset++) {
                const copies = open_.filter(each => each === offset).length
                if (doneForSure.has(offset)) expect(copies, `done message ${offset}`).toBe(0)
                else if (done.has(offset)) expect(copies).toBeLessThanOrEqual(1)
                else expect(copies, `message ${offset}`).toBe(1)
              }
              expect(open_.filter(offset => offset >= end)).toEqual([])
              // What is on disk is what happened.
              done = new Set(Array.from({ length: end }, (_, i) => i).filter(offset => !open_.includes(offset)))
              doneForSure = new Set(done)
              poppedForSure = end
              handles = handles.filter(({ offset }) => offset < end)
              process = await open(keyValue, disk, isJournaled)
              break
            }
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('forget a topic for good, also when it is made again under the same name', async () => {
    const keyValue = memoryKeyValue()
    const disk = memoryDisk()
    const { metadata, queue } = await open(keyValue, disk, isJournaled)
    const { receipts } = metadata
    const receipt = receipts.add(queue, 0, 1_000, 10, [0])
    await simulation.runUntilSettled(receipts.commit())
    receipts.forget({ topic: 't' })
    const renewed = receipts.queue('g', 't', 0)
    expect(renewed.number).toBeGreaterThan(queue.number)
    expect(receipts.receipt(renewed, 0, receipt.dueMs)).toBeUndefined()
    await simulation.runUntilSettled(receipts.commit())
    const reopened = await open(keyValue, disk, isJournaled)
    expect(reopened.queue.number).toBe(renewed.number)
    expect(openOffsets(reopened)).toEqual([])
    await simulation.runUntilSettled(reopened.metadata.close())
  })

  it('remember what is out in order', async () => {
    const keyValue = memoryKeyValue()
    const disk = memoryDisk()
    const { metadata, queue } = await open(keyValue, disk, isJournaled)
    const order = {
      popTime: 1,
      invisibleMs: 2,
      offsets: [3, 4],
      acknowledged: 1,
      done: [],
      visibleAt: { 1: 9 },
      counts: { 3: 1 },
      attemptId: undefined,
    }
    metadata.receipts.setOrder(queue, order)
    metadata.receipts.moveTo(queue, 4)
    await simulation.runUntilSettled(metadata.receipts.commit())
    const reopened = await open(keyValue, disk, isJournaled)
    expect(reopened.queue.order).toMatchObject({ popTime: 1, offsets: [3, 4], visibleAt: { 1: 9 }, counts: { 3: 1 } })
    expect(reopened.metadata.offsets.get('g', 't', 0)).toBe(4)
  })
})

it('receipts stay on disk only when there are many, and are found there', async () => {
  const store = memoryKeyValue()
  const offsets = new ConsumerOffsets(store, store.table('versions'), simulation.clock)
  const receipts = new PopReceipts(store, offsets, scheduler, undefined, 8)
  const queue = receipts.queue('g', 't', 0)
  for (let i = 0; i < 100; i++) receipts.add(queue, i, i, 1_000_000, [i])
  await simulation.runUntilSettled(receipts.commit())
  expect(receipts.cachedCount).toBe(8)
  const first = receipts.receipt(queue, 0, 1_000_000)
  expect(first && receipts.acknowledge(first, 0)).toBe(true)
  expect(receipts.firstDueMs).toBeLessThanOrEqual(1_000_001)
  expect(receipts.due(1_000_002, 10).map(receipt => receipt.startOffset)).toEqual([1, 2])
  expect(receipts.firstDueMs).toBe(1_000_003)
})

it('receipts are found when their time is over, also by a look that comes while they are being stored', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-receipts-'))
  const environment = nodeEnvironment()
  const store = await KeyValueStore.open(directory, { durability: 'committed', environment })
  const offsets = new ConsumerOffsets(store, store.table('versions'), environment.clock)
  const receipts = new PopReceipts(store, offsets, environment.scheduler)
  const receipt = receipts.add(receipts.queue('g', 't', 0), 0, 1_000, 10, [0])
  const stored = offsets.flush()
  const early = receipts.due(2_000, 10)
  await stored
  if (early.length === 0) expect(receipts.firstDueMs).toBe(1_010)
  expect([...early, ...receipts.due(2_000, 10)]).toEqual([receipt])
  await store.close()
  rmSync(directory, { recursive: true, force: true })
})

it('the journal of receipts does not grow without end', async () => {
  const disk = memoryDisk()
  const { metadata, queue } = await open(memoryKeyValue(), disk, true)
  const { receipts } = metadata
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 50; j++) {
      const offset = i * 50 + j
      receipts.acknowledge(receipts.add(queue, offset, offset, 1_000, [offset]), offset)
      receipts.moveTo(queue, offset + 1)
      await simulation.runUntilSettled(receipts.commit())
    }
    await simulation.runUntilSettled(metadata.offsets.flush())
  }
  expect((disk.size('/pop-0') ?? 0) + (disk.size('/pop-1') ?? 0)).toBeLessThan(10_000)
})

async function open(keyValue: KeyValue, disk: Disk, isJournaled: boolean): Promise<Process> {
  const journal = ReceiptJournal.open(disk, '/pop')
  const metadata = await MetadataStore.over(keyValue, {
    clock: simulation.clock,
    scheduler,
    name: 'test',
    ...(isJournaled && { receiptJournal: journal }),
  })
  await simulation.runUntilSettled(metadata.receipts.recover(journal))
  return { metadata, queue: metadata.receipts.queue('g', 't', 0) }
}

/** Offsets of all messages that are out, of a process that does nothing else. */
function openOffsets({ metadata }: Process): number[] {
  return metadata.receipts.due(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER).flatMap(each => each.openOffsets())
}
