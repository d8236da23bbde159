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
  /** One connection of each client. */
  readonly #clients = new Map<string, Producer>()

  /** True when the connection is new to the group. */
  join(group: string, producer: Producer): boolean {
    let members = this.#groups.get(group)
    if (!members) this.#groups.set(group, (members = new Map()))
    const isNew = !members.has(producer.peer.id)
    members.set(producer.peer.id, producer)
    this.#clients.set(producer.clientId, producer)
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

  /** A connection of this client; undefined when it is not online. */
  client(clientId: string): Producer | undefined {
    return this.#clients.get(clientId)
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
    const left = members?.get(peerId)
    if (!members || !left) return
    members.delete(peerId)
    if (members.size === 0) this.#groups.delete(group)
    if (this.#clients.get(left.clientId)?.peer.id !== peerId) return
    const other = this.#find(left.clientId)
    if (other) this.#clients.set(left.clientId, other)
    else this.#clients.delete(left.clientId)
  }

  #find(clientId: string): Producer | undefined {
    for (const members of this.#groups.values())
      for (const producer of members.values()) if (producer.clientId === clientId) return producer
    return undefined
  }
}
