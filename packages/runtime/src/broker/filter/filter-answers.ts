import { parseLenientJson, RequestCode, ResponseCode } from '@millrace/core'
import type { BrokerConfig } from '../../config/index.js'
import type { RemotingRequest, Reply } from '../../listener/peer.js'
import { type Answer, DONE, Refusal } from '../../requests/answer.js'
import { bodyOf } from '../../requests/body.js'
import { isTagType, MessageFilters } from './message-filter.js'

/** Requests about filters, by code. behaviour.md §7 */
export function filterAnswers(config: BrokerConfig): [number, Answer][] {
  const filters = new MessageFilters()
  return [[RequestCode.CHECK_CLIENT_CONFIG, request => checkClientReply(config, filters, request)]]
}

/** Consumers ask it at start for each subscription that is no tag expression. */
function checkClientReply(config: BrokerConfig, filters: MessageFilters, { command }: RemotingRequest): Reply {
  const body = bodyOf(parseLenientJson(command.body ?? ''))
  const subscription = memberOf(body, 'subscriptionData')
  const type = textOf(memberOf(subscription, 'expressionType'))
  if (isTagType(type)) return DONE
  if (!config.enablePropertyFilter) throw propertyFilterOff(type)
  const result = filters.of(type, textOf(memberOf(subscription, 'subString')))
  if (!result.ok) throw new Refusal(ResponseCode.SUBSCRIPTION_PARSE_FAILED, result.reason)
  return DONE
}

/** Refusal of a filter that the broker is set not to serve. */
export function propertyFilterOff(expressionType: string): Refusal {
  return new Refusal(
    ResponseCode.SYSTEM_ERROR,
    `The broker does not support consumer to filter message by ${expressionType}; set enablePropertyFilter`,
  )
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}
