import { type AttributeRule, type Attributes, alterAttributes } from '../../requests/attributes.js'
import { DEDUP_ATTRIBUTE, isDedupCount, isDedupProperty, isDedupWindow } from '../send/once/dedup-rule.js'

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
  const list = (changes ?? '').split(',').map(text => text.trim())
  return alterAttributes(
    RULES,
    current,
    list.filter(change => change !== ''),
  )
}
