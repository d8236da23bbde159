import { createSecretKey } from 'node:crypto'
import { ResponseCode } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import { Refusal } from '../requests/answer.js'
import type { Account, Accounts } from './account.js'
import { mergePolicies, type Policy, type PolicyType, ruleBook, withoutEntry } from './policy.js'

export type UserType = 'Super' | 'Normal'
export type UserStatus = 'enable' | 'disable'

/** A user as it is stored. */
export interface UserRecord {
  /** Sealed: signatures are made from the secret itself, so that a one-way hash could not check them. */
  readonly sealedSecret: string
  readonly userType: UserType
  readonly userStatus: UserStatus
}

/** What a request says of a user; undefined where it says nothing. */
export interface UserChange {
  readonly password: string | undefined
  readonly userType: UserType | undefined
  readonly userStatus: UserStatus | undefined
}

/** Makes secrets unreadable for whoever gets hold of the store alone. */
export interface SecretBox {
  /** `context` must be the same at `open`. */
  seal(secret: string, context: string): string
  /** @throws MillraceError INVALID_CONFIG when it was sealed with another key or for another context */
  open(sealed: string, context: string): string
}

/**
 * Users and what they may do: durable, in memory for reading. Changes are made by one actor; a change counts for the
 * next request, and is on disk when its promise resolves.
 */
export class UserDirectory implements Accounts {
  readonly #users: MetadataTable<UserRecord>
  readonly #policies: MetadataTable<readonly Policy[]>
  readonly #box: SecretBox
  readonly #accounts = new Map<string, Account>()

  constructor(users: MetadataTable<UserRecord>, policies: MetadataTable<readonly Policy[]>, box: SecretBox) {
    this.#users = users
    this.#policies = policies
    this.#box = box
  }

  get size(): number {
    return this.#users.size
  }

  find(name: string): Account | undefined {
    return this.#accounts.get(name) ?? this.#load(name)
  }

  record(name: string): UserRecord | undefined {
    return this.#users.get(name)
  }

  users(): IterableIterator<[string, UserRecord]> {
    return this.#users.entries()
  }

  policiesOf(name: string): readonly Policy[] {
    return this.#policies.get(name) ?? []
  }

  hasPolicies(name: string): boolean {
    return this.#policies.has(name)
  }

  /** @throws Refusal 16 when there is such a user, or without a password */
  async create(name: string, change: UserChange): Promise<void> {
    if (name.trim() === '') throw refused('username can not be blank')
    if (!change.password?.trim()) throw refused('password can not be blank')
    if (this.#users.has(name)) throw refused('The user is existed')
    await this.#put(name, {
      sealedSecret: this.#box.seal(change.password, name),
      userType: change.userType ?? 'Normal',
      userStatus: change.userStatus ?? 'enable',
    })
  }

  /** Keeps what `change` does not name. @throws Refusal 16 when there is no such user */
  async update(name: string, change: UserChange): Promise<void> {
    const old = this.#users.get(name)
    if (old === undefined) throw refused('The user is not exist')
    await this.#put(name, {
      sealedSecret: change.password?.trim() ? this.#box.seal(change.password, name) : old.sealedSecret,
      userType: change.userType ?? old.userType,
      userStatus: change.userStatus ?? old.userStatus,
    })
  }

  /** With everything the user may do. Nothing happens when there is none. */
  async remove(name: string): Promise<void> {
    this.#accounts.delete(name)
    await Promise.all([this.#users.remove(name), this.#policies.remove(name)])
  }

  /** Adds entries, or replaces those for the same resources. @throws Refusal 16 when there is no such user */
  async addPolicies(name: string, policies: readonly Policy[]): Promise<void> {
    if (!this.#users.has(name)) throw refused(`The subject of User:${name} is not exist.`)
    await this.#putPolicies(name, mergePolicies(this.policiesOf(name), policies))
  }

  /** Removes one entry, or everything without a resource. @throws Refusal 16 when there is no such user or nothing to remove */
  async removePolicies(name: string, type: PolicyType, resource: string | undefined): Promise<void> {
    if (!this.#users.has(name)) throw refused('The subject is not exist.')
    if (!this.#policies.has(name)) throw refused('The acl is not exist.')
    await this.#putPolicies(name, resource === undefined ? [] : withoutEntry(this.policiesOf(name), type, resource))
  }

  async #putPolicies(name: string, policies: readonly Policy[]): Promise<void> {
    this.#accounts.delete(name)
    try {
      await (policies.length > 0 ? this.#policies.put(name, policies) : this.#policies.remove(name))
    } finally {
      // A failed write has put the old record back.
      this.#accounts.delete(name)
    }
  }

  async #put(name: string, record: UserRecord): Promise<void> {
    this.#accounts.delete(name)
    try {
      await this.#users.put(name, record)
    } finally {
      this.#accounts.delete(name)
    }
  }

  #load(name: string): Account | undefined {
    const record = this.#users.get(name)
    if (record === undefined) return undefined
    const account: Account = {
      name,
      key: createSecretKey(this.#box.open(record.sealedSecret, name), 'utf8'),
      isSuper: record.userType === 'Super',
      isEnabled: record.userStatus === 'enable',
      rules: ruleBook(this.policiesOf(name)),
      trusts: undefined,
    }
    this.#accounts.set(name, account)
    return account
  }
}

function refused(remark: string): Refusal {
  return new Refusal(ResponseCode.NO_PERMISSION, remark)
}
