import type { Peer } from '../../listener/peer.js'

/** One connection of a producer group. */
export interface Producer {
  readonly peer: Peer
  readonly clientId: string
  readonly language: string
  readonly version: number
  lastSeen: number
}

/** The producers that are online, by group. They need no more than to be found: [204], [328], check-backs, replies. */
export class Producers {
  readonly #groups = new Map<string, Map<number, Producer>>()

  /** True when the connection is new to the group. */
  join(group: string, producer: Producer): boolean {
    let members = this.#groups.get(group)
    if (!members) this.#groups.set(group, (members = new Map()))
    const isNew = !members.has(producer.peer.id)
    members.set(producer.peer.id, producer)
    return isNew
  }

  /** Removes a client from a group, if it is there under this connection. */
  leave(group: string, peer: Peer, clientId: string): void {
    const members = this.#groups.get(group)
    if (members?.get(peer.id)?.clientId === clientId) this.#remove(group, peer.id)
  }

  /** Removes a closed connection from a group. */
  leavePeer(group: string, peer: Peer): void {
    this.#remove(group, peer.id)
  }

  /** Removes who was silent since before `deadline`. */
  expire(deadline: number): void {
    for (const [group, members] of this.#groups)
      for (const [peerId, producer] of members) if (producer.lastSeen < deadline) this.#remove(group, peerId)
  }

  /** Undefined when nobody of the group is online. */
  members(group: string): Producer[] | undefined {
    const members = this.#groups.get(group)
    return members && [...members.values()]
  }

  groups(): string[] {
    return [...this.#groups.keys()]
  }

  #remove(group: string, peerId: number): void {
    const members = this.#groups.get(group)
    if (members?.delete(peerId) && members.size === 0) this.#groups.delete(group)
  }
}
