import type { SubscriptionData } from '@millrace/core'
import type { Peer } from '../../listener/peer.js'

/** One connection of a consumer group. */
export interface GroupMember {
  readonly peer: Peer
  readonly clientId: string
  readonly language: string
  readonly version: number
  /** Clock of the last heartbeat, milliseconds. */
  lastSeen: number
}

/** A consumer group that has members, as everybody may read it. */
export interface GroupView {
  readonly name: string
  /** CONSUME_ACTIVELY (pull), CONSUME_PASSIVELY (push) or CONSUME_POP. */
  readonly consumeType: string
  /** CLUSTERING or BROADCASTING. */
  readonly messageModel: string
  readonly consumeFromWhere: string
  /** By id of the connection. */
  readonly members: ReadonlyMap<number, GroupMember>
  /** By topic. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>
}

/** What the group's actor writes. */
export interface OnlineGroup extends GroupView {
  consumeType: string
  messageModel: string
  consumeFromWhere: string
  readonly members: Map<number, GroupMember>
  readonly subscriptions: Map<string, SubscriptionData>
  /** Mark of the subscriptions that V2 clients sent last; undefined before the first. */
  fingerprint: number | undefined
}

/**
 * The consumer groups that are online. Each is written by its ConsumerGroup actor alone, and read by the pull path
 * without waiting. The state lives here, not in the actor, so that idle actors can be put away.
 *
 * Invariant: a group in the table has at least one member.
 */
export class GroupRegistry {
  readonly #groups = new Map<string, OnlineGroup>()

  find(name: string): GroupView | undefined {
    return this.#groups.get(name)
  }

  all(): IterableIterator<GroupView> {
    return this.#groups.values()
  }

  /** Groups of which a member subscribed to `topic`. */
  subscribersOf(topic: string): string[] {
    return [...this.#groups.values()].filter(group => group.subscriptions.has(topic)).map(group => group.name)
  }

  /** For the group's actor. */
  get(name: string): OnlineGroup | undefined {
    return this.#groups.get(name)
  }

  /** For the group's actor, which adds the first member in the same step. */
  open(name: string): OnlineGroup {
    const group: OnlineGroup = {
      name,
      consumeType: '',
      messageModel: '',
      consumeFromWhere: '',
      members: new Map(),
      subscriptions: new Map(),
      fingerprint: undefined,
    }
    this.#groups.set(name, group)
    return group
  }

  /** For the group's actor, when the last member has left. */
  close(name: string): void {
    this.#groups.delete(name)
  }
}

/** Distinct client ids of a group. */
export function clientIdsOf(group: GroupView): string[] {
  return [...new Set([...group.members.values()].map(member => member.clientId))]
}
