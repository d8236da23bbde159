import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { killChildren } from './children.js'
import { javaJson } from './clients.js'
import { Driver } from './driver.js'
import { verbCases } from './mqadmin-cases.js'
import { SECURITY_VERBS } from './mqadmin-verbs.js'
import { feature, writePage } from './report.js'
import { workDir } from './scenario.js'
import { apache, selectedTargets, type Target, type TargetKind } from './targets.js'

/** As in SecurityCases.java. */
const USER = ['super', 'super-secret'] as const

const SETTINGS: Readonly<Record<string, string>> = {
  enablePropertyFilter: 'false',
  authenticationEnabled: 'true',
  authorizationEnabled: 'true',
  initAuthenticationUser: JSON.stringify({ username: USER[0], password: USER[1] }),
  innerClientAuthenticationCredentials: JSON.stringify({ accessKey: USER[0], secretKey: USER[1] }),
}

/** Apache takes them by class name; Millrace has one of each. */
const PROVIDERS: Readonly<Record<string, string>> = {
  authenticationProvider: 'org.apache.rocketmq.auth.authentication.provider.DefaultAuthenticationProvider',
  authenticationMetadataProvider:
    'org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider',
  authorizationProvider: 'org.apache.rocketmq.auth.authorization.provider.DefaultAuthorizationProvider',
  authorizationMetadataProvider: 'org.apache.rocketmq.auth.authorization.provider.LocalAuthorizationMetadataProvider',
}

const FEATURES = [
  ['sends and consumes as super user', 'acl-super-user'],
  ['is refused without the right secret', 'acl-wrong-secret'],
  ['does what policies allow, and nothing else', 'acl-policies'],
  ['manages users', 'acl-users'],
  ['is refused SQL92 where property filters are off', 'filter-switched-off'],
] as const

afterAll(async () => {
  await killChildren()
  writePage()
})

const kinds = selectedTargets().filter(kind => !kind.missing())
const missing = javaJson.missing()
if (missing) {
  console.warn(`interop: skipped users and policies: ${missing}`)
  describe.skip('users and policies', () => it('is not here'))
} else {
  describe('users and policies', () => {
    const targets = new Map<TargetKind, Target>()
    let dir: string
    let driver: Driver

    beforeAll(async () => {
      dir = workDir()
      driver = new Driver(`${dir}/home`)
      for (const kind of kinds) {
        const settings = kind === apache ? { ...SETTINGS, ...PROVIDERS } : SETTINGS
        targets.set(kind, await kind.start(`${dir}/${targets.size}`, settings))
      }
      for (const target of targets.values()) await driver.run('acl-stage', target)
    })
    afterAll(async () => {
      await driver?.close()
      await Promise.all([...targets.values()].map(target => target.discard()))
      rmSync(dir, { recursive: true, force: true })
    })

    // First, while there are no other users to list.
    const stageOf = (kind: TargetKind) => ({ target: targets.get(kind)!, id: '', offsetId: '', dir })
    describe('mqadmin', () => verbCases(kinds, SECURITY_VERBS, stageOf, () => driver, USER))
    for (const kind of kinds) {
      describe.concurrent(kind.name, () => {
        for (const [name, body] of FEATURES) {
          const run = async () => void (await driver.run(body, targets.get(kind)!))
          feature(kind.name, javaJson.name, name, run, 120_000)
        }
      })
    }
  })
}
