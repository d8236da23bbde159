import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { isSignedBy, type RemotingCommand, ResponseCode } from '@millrace/core'
import type { Peer, Reply } from '../listener/peer.js'
import { addressText } from '../requests/address.js'
import { failureReply, Refusal } from '../requests/answer.js'
import type { Account, Accounts } from './account.js'
import { needsOf, type TopicAt } from './needs.js'
import { refusalOf } from './policy.js'
import type { AddressMatch } from './source-address.js'

export interface GuardOptions {
  readonly accounts: Accounts
  /** Name of the cluster that administration is about. */
  readonly clusterName: string
  /** Are permissions looked at, or only who it is? */
  readonly authorizes: boolean
  /** Request codes that anybody may send. */
  readonly withoutAuthentication: ReadonlySet<number>
  /** Request codes that every user may send. */
  readonly withoutAuthorization: ReadonlySet<number>
  readonly topicAt: TopicAt
  /** Addresses from which everything is allowed (ACL 1.0). */
  readonly trusts: AddressMatch
}

/**
 * Looks at each request before anything serves it: is it signed by who it says, and may they do that? A nameserver and
 * broker without security have no guard. behaviour.md §19
 */
export class RequestGuard {
  /** Requests that were refused. */
  refused = 0

  constructor(private readonly options: GuardOptions) {}

  /** The answer to a request that must not be served; undefined when it may be. Never throws. */
  refusal(command: RemotingCommand, peer: Peer): Reply | undefined {
    try {
      this.check(command, peer)
      return undefined
    } catch (error) {
      this.refused++
      return failureReply(error)
    }
  }

  /**
   * May the user of this name and password read about the cluster? 'unknown': there is no such user, or the password is
   * another.
   */
  mayRead(name: string, password: string, host: string): 'allowed' | 'unknown' | 'denied' {
    const { accounts, authorizes, clusterName, trusts } = this.options
    if (trusts(host)) return 'allowed'
    const account = accounts.find(name)
    const given = createSecretKey(password === '' ? '?' : password, 'utf8')
    if (!account?.isEnabled || password === '' || !sameKey(given, account.key)) {
      this.refused++
      return 'unknown'
    }
    if (!authorizes || account.isSuper) return 'allowed'
    const need = { type: 'Cluster', name: clusterName, actions: ['Get'] } as const
    if (refusalOf(account.rules, need, host) === undefined) return 'allowed'
    this.refused++
    return 'denied'
  }

  private check(command: RemotingCommand, peer: Peer): void {
    const { host } = peer.remote
    const { options } = this
    if (options.withoutAuthentication.has(command.code) || options.trusts(host)) return
    const account = this.authenticate(command, host)
    if (
      account === undefined ||
      !options.authorizes ||
      account.isSuper ||
      options.withoutAuthorization.has(command.code)
    )
      return
    for (const need of needsOf(command, options.clusterName, options.topicAt)) {
      const reason = refusalOf(account.rules, need, host)
      if (reason !== undefined) {
        const source = addressText({ host, port: 0 }).replace(/:0$/, '')
        throw denied(
          `User:${account.name} has no permission to access ${need.type}:${need.name} from ${source}, ${reason}`,
        )
      }
    }
  }

  /** Undefined for an account of 1.0 from an address that it trusts: nothing more is asked then. */
  private authenticate(command: RemotingCommand, host: string): Account | undefined {
    const name = command.extFields['AccessKey']
    if (name === undefined || name === '') throw denied('username cannot be null.')
    const account = this.options.accounts.find(name)
    if (account === undefined) throw denied(`User:${name.slice(0, 128)} is not found.`)
    if (!account.isEnabled) throw denied(`User:${account.name} is disabled.`)
    if (account.trusts?.(host)) return undefined
    if (!isSignedBy(command, account.key)) throw denied('check signature failed.')
    return account
  }
}

/** Compared by a keyed hash: takes as long whatever the two have in common. */
function sameKey(a: KeyObject, b: KeyObject): boolean {
  const hash = (key: KeyObject): Buffer => createHmac('sha256', key).update('same').digest()
  return timingSafeEqual(hash(a), hash(b))
}

function denied(remark: string): Refusal {
  return new Refusal(ResponseCode.NO_PERMISSION, remark)
}
