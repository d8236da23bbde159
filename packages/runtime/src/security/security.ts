import { join } from 'node:path'
import { type ActorSystem, type Environment, MillraceError, ResponseCode, receive } from '@millrace/core'
import type { MetadataStore } from '@millrace/storage'
import { type BrokerConfig, jsonTexts, type NameserverConfig, requestCodes } from '../config/index.js'
import type { RemotingRequest } from '../listener/peer.js'
import { type Handler, handlerOf, Refusal } from '../requests/answer.js'
import type { Accounts } from './account.js'
import { innerCredentials } from './credentials.js'
import { readWhole, watchFiles } from './file-watch.js'
import type { TopicAt } from './needs.js'
import { secretBoxIn } from './node-secret-box.js'
import { type PlainAcl, plainAccounts, readPlainAcl } from './plain-acl.js'
import { RequestGuard } from './request-guard.js'
import { USER_REQUESTS, userAnswers } from './user-answers.js'
import { type UserChange, UserDirectory } from './user-directory.js'

export interface SecurityOptions {
  readonly config: BrokerConfig | NameserverConfig
  /** Directory of the role's data. */
  readonly directory: string
  readonly clusterName: string
  readonly environment: Environment
  readonly system: ActorSystem
  readonly metadata: MetadataStore
  readonly topicAt: TopicAt
  /** Hears of a change in a file that could not be taken over: what was read before goes on. */
  readonly onProblem: (error: MillraceError) => void
}

export interface Security {
  /** Looks at every request; undefined when everybody may do everything. */
  readonly guard: RequestGuard | undefined
  /** Request code → what serves it: users and policies. */
  readonly handlers: ReadonlyMap<number, Handler>
  close(): void
}

/**
 * Opens what the switches ask for.
 * @throws MillraceError INVALID_CONFIG when there is no user to authenticate, or a file cannot be read
 */
export async function openSecurity(options: SecurityOptions): Promise<Security> {
  const { config } = options
  if (config.authenticationEnabled) return openUsers(options)
  const handlers = new Map(USER_REQUESTS.map(code => [code, handlerOf(refuseUsers)]))
  if (!config.aclEnable) return { guard: undefined, handlers, close: () => undefined }

  let acl = await loadPlainAcl(options)
  let accounts = plainAccounts(acl)
  const guard = new RequestGuard({
    ...codesOf(config),
    accounts: { find: name => accounts.find(name) },
    clusterName: options.clusterName,
    topicAt: options.topicAt,
    authorizes: true,
    trusts: host => acl.trusts(host),
  })
  const close = watchFiles(options.environment, [aclFileOf(options)], () => {
    loadPlainAcl(options).then(
      found => {
        acl = found
        accounts = plainAccounts(found)
      },
      error => options.onProblem(error as MillraceError),
    )
  })
  return { guard, handlers, close }
}

function refuseUsers(): never {
  throw new Refusal(
    ResponseCode.SYSTEM_ERROR,
    'there are no users here, as authentication is off; start with authenticationEnabled=true and initAuthenticationUser',
  )
}

async function openUsers(options: SecurityOptions): Promise<Security> {
  const { config, metadata, system } = options
  const users = new UserDirectory(
    metadata.table('users'),
    metadata.table('policies'),
    secretBoxIn(config.authKeyFile === '' ? join(options.directory, 'security.key') : config.authKeyFile),
  )
  await createFirstUsers(users, config)
  if (config.migrateAuthFromV1Enabled) await migrate(users, await loadPlainAcl(options))
  if (users.size === 0)
    throw new MillraceError(
      'INVALID_CONFIG',
      'authenticationEnabled=true, and there is no user; set initAuthenticationUser={"username":"…","password":"…"}',
    )
  // Reads the key file now rather than at the first request.
  for (const [name] of users.users()) users.find(name)
  const guard = new RequestGuard({
    ...codesOf(config),
    accounts: users satisfies Accounts,
    clusterName: options.clusterName,
    topicAt: options.topicAt,
    authorizes: config.authorizationEnabled,
    trusts: () => false,
  })
  const answers = new Map(userAnswers(users).map(([code, answer]) => [code, handlerOf(answer)]))
  const actor = system.spawn(
    'security',
    receive<RemotingRequest>(request => answers.get(request.command.code)?.(request)),
    { supervision: { kind: 'resume' } },
  )
  const handlers = new Map<number, Handler>(USER_REQUESTS.map(code => [code, request => actor.tell(request)]))
  return { guard, handlers, close: () => undefined }
}

function codesOf(config: BrokerConfig | NameserverConfig) {
  return {
    withoutAuthentication: requestCodes(config.authenticationWhitelist),
    withoutAuthorization: requestCodes(config.authorizationWhitelist),
  }
}

const SUPER: Omit<UserChange, 'password'> = { userType: 'Super', userStatus: 'enable' }

async function createFirstUsers(users: UserDirectory, config: BrokerConfig | NameserverConfig): Promise<void> {
  const first = jsonTexts(config.initAuthenticationUser, ['username', 'password'])
  const inner = innerCredentials(config)
  const wanted = [first && [first.username, first.password], inner && [inner.accessKey, inner.secretKey]]
  for (const [name, password] of wanted.filter(each => each !== undefined))
    if (users.record(name) === undefined) await users.create(name, { ...SUPER, password })
}

async function migrate(users: UserDirectory, acl: PlainAcl): Promise<void> {
  for (const { accessKey, secretKey, isAdmin, policies } of acl.accounts) {
    if (users.record(accessKey) !== undefined) continue
    await users.create(accessKey, {
      password: secretKey,
      userType: isAdmin ? 'Super' : 'Normal',
      userStatus: 'enable',
    })
    await users.addPolicies(accessKey, policies)
  }
}

function aclFileOf({ config, directory }: SecurityOptions): string {
  return config.aclFile === '' ? join(directory, 'conf', 'plain_acl.yml') : config.aclFile
}

async function loadPlainAcl(options: SecurityOptions): Promise<PlainAcl> {
  const path = aclFileOf(options)
  let content: Buffer | undefined
  try {
    content = readWhole(options.environment.disk, path)
  } catch (cause) {
    throw new MillraceError('INVALID_CONFIG', `ACL file "${path}" cannot be read: ${String(cause)}`, { cause })
  }
  if (content === undefined)
    throw new MillraceError('INVALID_CONFIG', `ACL file "${path}" does not exist; write one, or set aclFile`)
  return readPlainAcl(content.toString('utf8'), path)
}
