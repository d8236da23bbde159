import { ResponseCode } from '@millrace/core'
import { Refusal } from '../../requests/answer.js'
import { DEDUP_ATTRIBUTE, isDedupCount, isDedupProperty, isDedupWindow } from '../send/once/dedup-rule.js'

type Attributes = Readonly<Record<string, string>>

interface AttributeRule {
  readonly accepts: (value: string) => boolean
  readonly isChangeable: boolean
}

const oneOf =
  (...values: string[]) =>
  (value: string): boolean =>
    values.includes(value)

/** Attributes a topic may have. @see RocketMQ `TopicAttributes`; those about repeats are ours. */
const RULES: Readonly<Record<string, AttributeRule>> = {
  'queue.type': { accepts: oneOf('BatchCQ', 'SimpleCQ'), isChangeable: false },
  'cleanup.policy': { accepts: oneOf('DELETE', 'COMPACTION'), isChangeable: false },
  'message.type': {
    accepts: oneOf('UNSPECIFIED', 'NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED'),
    isChangeable: true,
  },
  [DEDUP_ATTRIBUTE.windowMs]: { accepts: isDedupWindow, isChangeable: true },
  [DEDUP_ATTRIBUTE.count]: { accepts: isDedupCount, isChangeable: true },
  [DEDUP_ATTRIBUTE.property]: { accepts: isDedupProperty, isChangeable: true },
  'reserve.time': { accepts: value => /^-?\d{1,15}$/.test(value), isChangeable: true },
}

/**
 * Applies changes of the form `+name=value,-name` to the attributes a topic has.
 * Attributes of a new topic can only be added. behaviour.md §4
 * @throws Refusal 1 for an unknown attribute, a bad value, or one that cannot be changed
 */
export function changeAttributes(current: Attributes | undefined, changes: string | undefined): Attributes {
  const attributes: Record<string, string> = { ...current }
  for (const change of (changes ?? '').split(',').map(text => text.trim())) {
    if (change === '') continue
    const sign = change[0]
    const separator = change.indexOf('=')
    const name = separator < 0 ? change.slice(1) : change.slice(1, separator)
    if ((sign !== '+' && sign !== '-') || (sign === '+') !== separator > 0)
      throw refusal(`add/alter attribute format is wrong: ${change}`)
    const rule = Object.hasOwn(RULES, name) ? RULES[name] : undefined
    if (!rule) throw refusal(`unsupported key: ${name}`)
    // Saying again what is so anyway is no change: what was exported can be imported twice.
    if (current && !rule.isChangeable && (sign === '-' || current[name] !== change.slice(separator + 1)))
      throw refusal(`attempt to update an unchangeable attribute. key: ${name}`)
    if (sign === '-') {
      delete attributes[name]
      continue
    }
    const value = change.slice(separator + 1)
    if (!rule.accepts(value)) throw refusal(`value "${value}" of attribute ${name} is not valid`)
    attributes[name] = value
  }
  return attributes
}

function refusal(remark: string): Refusal {
  return new Refusal(ResponseCode.SYSTEM_ERROR, remark)
}
