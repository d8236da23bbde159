import type { SubscriptionData } from '@millrace/core'
import type { ConsumerOffsets } from '@millrace/storage'
import type { ForbiddenTopics } from './forbidden-topics.js'
import type { GroupRegistry, GroupView } from './group-registry.js'
import type { PendingResets } from './pending-resets.js'
import type { SubscriptionGroup } from './subscription-group.js'
import type { SubscriptionGroups } from './subscription-groups.js'

/** What the pull path asks about consumer groups. Reads of shared tables: nothing waits, no message is told. */
export class PullGroups {
  constructor(
    private readonly subscriptionGroups: SubscriptionGroups,
    private readonly registry: GroupRegistry,
    private readonly offsets: ConsumerOffsets,
    private readonly resets: PendingResets,
    private readonly forbidden: ForbiddenTopics,
  ) {}

  /** Settings of the group, created when it is missing and may be. Undefined: answer 26. */
  find(group: string): SubscriptionGroup | undefined {
    return this.subscriptionGroups.ensure(group)
  }

  /** Members and subscriptions; undefined while the group is offline. */
  view(group: string): GroupView | undefined {
    return this.registry.find(group)
  }

  /** What the group's members subscribed to; undefined: the group is offline, or does not subscribe to the topic. */
  subscription(group: string, topic: string): SubscriptionData | undefined {
    return this.registry.find(group)?.subscriptions.get(topic)
  }

  /** Was this group forbidden to read this topic [353]? */
  isForbidden(group: string, topic: string): boolean {
    return this.forbidden.has(group, topic)
  }

  /** Takes the offset that a pull carries, as a one-way commit does. */
  commitOffset(group: string, topic: string, queueId: number, offset: number): void {
    if (offset >= 0 && !this.resets.isPending(group, topic, queueId)) this.offsets.set(group, topic, queueId, offset)
  }

  /**
   * Where an operator wants the group to go on in this queue: answer the pull 21 with it as nextBeginOffset, before
   * reading and before taking its commit. Undefined, the usual case, costs one comparison.
   */
  takeReset(group: string, topic: string, queueId: number): number | undefined {
    return this.resets.take(group, topic, queueId)
  }
}
