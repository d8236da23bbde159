import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { killChildren } from './children.js'
import { javaJson } from './clients.js'
import { dashboardCases } from './dashboard-cases.js'
import { Driver } from './driver.js'
import { type Stage, verbCases } from './mqadmin-cases.js'
import { VERBS } from './mqadmin-verbs.js'
import { writePage } from './report.js'
import { workDir } from './scenario.js'
import { selectedTargets, type Target, type TargetKind } from './targets.js'

const topicList = [
  {
    topicName: 'stage-list',
    readQueueNums: 2,
    writeQueueNums: 2,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    order: false,
  },
]
const groupList = [{ groupName: 'stage-list', consumeEnable: true, retryQueueNums: 1, retryMaxTimes: 7, brokerId: 0 }]

afterAll(async () => {
  await killChildren()
  writePage()
})

const kinds = selectedTargets().filter(kind => !kind.missing())
const missing = javaJson.missing()
if (missing) {
  console.warn(`interop: skipped mqadmin: ${missing}`)
  describe.skip('mqadmin', () => it('is not here'))
} else {
  describe('mqadmin and dashboard', () => {
    const stages = new Map<TargetKind, Stage>()
    const targets: Target[] = []
    let dir: string
    // One for each broker: the clients of the stage have the same ids on both.
    const drivers = new Map<TargetKind, Driver>()

    beforeAll(async () => {
      dir = workDir()
      for (const kind of kinds) {
        const target = await kind.start(`${dir}/${stages.size}`)
        targets.push(target)
        const driver = new Driver(`${dir}/home-${stages.size}`)
        drivers.set(kind, driver)
        const [id, offsetId] = (await driver.run('stage', target)).split(' ') as [string, string]
        const files = `${dir}/files-${stages.size}`
        mkdirSync(files)
        writeFileSync(`${files}/topics.json`, JSON.stringify(topicList))
        writeFileSync(`${files}/groups.json`, JSON.stringify(groupList))
        stages.set(kind, { target, id, offsetId, dir: files })
      }
    })
    afterAll(async () => {
      await Promise.all([...drivers.values()].map(driver => driver.close()))
      await Promise.all(targets.map(target => target.discard()))
      rmSync(dir, { recursive: true, force: true })
    })

    describe('mqadmin', () =>
      verbCases(
        kinds,
        VERBS,
        kind => stages.get(kind)!,
        kind => drivers.get(kind)!,
      ))
    describe('dashboard', () => dashboardCases(kinds, kind => stages.get(kind)!))
  })
}
