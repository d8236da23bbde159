import type { KeyObject } from 'node:crypto'
import type { RuleBook } from './policy.js'
import type { AddressMatch } from './source-address.js'

/** Somebody who signs requests, ready to be checked against. */
export interface Account {
  readonly name: string
  /** The secret that requests are signed with. */
  readonly key: KeyObject
  /** May do everything. */
  readonly isSuper: boolean
  readonly isEnabled: boolean
  readonly rules: RuleBook
  /** Addresses from which nothing is checked (ACL 1.0); none for users of 2.0. */
  readonly trusts: AddressMatch | undefined
}

/** Where the guard finds accounts by access key. */
export interface Accounts {
  find(name: string): Account | undefined
}
