import { type AttributeRule, type Attributes, alterAttributes, changesOf } from '../../requests/attributes.js'

/** Attributes a group may have. @see RocketMQ `SubscriptionGroupAttributes`; those of lite topics are not served */
const RULES: Readonly<Record<string, AttributeRule>> = {
  'priority.factor': { accepts: value => /^\d{1,3}$/.test(value) && Number(value) <= 100, isChangeable: true },
}

/**
 * Applies `+name` and `-name` members, as `mqadmin updateSubGroup -a` sends them, to the attributes a group has.
 * @throws Refusal 1 for an unknown attribute or a bad value
 */
export function changeGroupAttributes(current: Attributes | undefined, changes: Attributes): Attributes {
  return alterAttributes(RULES, current, changesOf(changes))
}
