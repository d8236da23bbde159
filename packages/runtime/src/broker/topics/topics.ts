import {
  type ActorRef,
  assertNever,
  type Behavior,
  type ReplyTo,
  RequestCode,
  ResponseCode,
  receive,
} from '@millrace/core'
import type { RemotingRequest } from '../../listener/peer.js'
import { handlerOf, Refusal } from '../../requests/answer.js'
import type { SystemTopics } from './system-topics.js'
import type { Topic } from './topic.js'
import type { TopicAdmin } from './topic-admin.js'
import { topicAnswers } from './topic-answers.js'
import type { TopicTable } from './topic-table.js'

/** What the Topics actor takes. */
export type TopicsMessage =
  | { readonly kind: 'request'; readonly request: RemotingRequest }
  | {
      readonly kind: 'topic-missing-for-send'
      readonly topic: string
      readonly template: string
      readonly queueCount: number
      readonly reply: ReplyTo<Topic>
    }
  | {
      readonly kind: 'topic-missing-for-group'
      readonly topic: string
      readonly queueCount: number
      readonly reply: ReplyTo<Topic>
    }

/** Requests that the Topics actor serves. */
export const TOPIC_REQUESTS: readonly number[] = [
  RequestCode.UPDATE_AND_CREATE_TOPIC,
  RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
  RequestCode.DELETE_TOPIC_IN_BROKER,
  RequestCode.GET_ALL_TOPIC_CONFIG,
  RequestCode.GET_TOPIC_CONFIG,
  RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER,
  RequestCode.CLEAN_UNUSED_TOPIC,
]

/** A commit that takes longer has failed the store: its own deadline is shorter. */
const CREATE_DEADLINE_MS = 15_000

/** The registry of topics: the only one that changes the table. */
export function topicsBehavior(
  table: TopicTable,
  admin: TopicAdmin,
  systemTopics: SystemTopics,
  storedTopics: () => string[],
): Behavior<TopicsMessage> {
  const answers = topicAnswers(table, admin, systemTopics, storedTopics)
  const handlers = new Map(answers.map(([code, answer]) => [code, handlerOf(answer)]))
  return receive(message => {
    switch (message.kind) {
      case 'request':
        handlers.get(message.request.command.code)?.(message.request)
        break
      case 'topic-missing-for-send':
        admin
          .createForSend(message.topic, message.template, message.queueCount)
          .then(message.reply.tell, message.reply.fail)
        break
      case 'topic-missing-for-group':
        admin.createForGroup(message.topic, message.queueCount).then(message.reply.tell, message.reply.fail)
        break
      default:
        assertNever(message)
    }
  })
}

/** Topics as the data path sees them: looked up without waiting, created on first use. */
export class Topics {
  constructor(
    private readonly table: TopicTable,
    private readonly actor: ActorRef<TopicsMessage>,
  ) {}

  find(name: string): Topic | undefined {
    return this.table.find(name)
  }

  all(): IterableIterator<Topic> {
    return this.table.all()
  }

  /**
   * The topic that a message goes to. A promise only when it has to be created first: it resolves when the topic is
   * durable and the nameservers know it.
   * @throws Refusal 29 (name) | 16 (clients may not send to it) | 17 (unknown and not creatable); rejects with the same,
   *   MillraceError DISK_FULL | DISK_FAILED | TIMEOUT | MAILBOX_FULL
   */
  ensureForSend(name: string, template: string, queueCount: number): Topic | Promise<Topic> {
    const topic = this.table.find(name)
    if (topic === undefined)
      return this.actor.ask<Topic>(
        reply => ({ kind: 'topic-missing-for-send', topic: name, template, queueCount, reply }),
        CREATE_DEADLINE_MS,
      )
    if (topic.isSendForbidden)
      throw new Refusal(ResponseCode.NO_PERMISSION, `Sending message to topic[${name}] is forbidden.`)
    return topic
  }

  /** A retry or dead-letter topic of a group, created when it is missing. @throws as `ensureForSend`, but no Refusal */
  ensureForGroup(name: string, queueCount: number): Topic | Promise<Topic> {
    return (
      this.table.find(name) ??
      this.actor.ask<Topic>(
        reply => ({ kind: 'topic-missing-for-group', topic: name, queueCount, reply }),
        CREATE_DEADLINE_MS,
      )
    )
  }
}
