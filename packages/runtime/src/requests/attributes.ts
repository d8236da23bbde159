import { ResponseCode } from '@millrace/core'
import { Refusal } from './answer.js'

export type Attributes = Readonly<Record<string, string>>

/** What values an attribute may have. */
export interface AttributeRule {
  readonly accepts: (value: string) => boolean
  readonly isChangeable: boolean
}

/**
 * Applies changes of the form `+name=value` or `-name` to the attributes that something has; undefined: it is new.
 * @see RocketMQ `AttributeUtil`
 * @throws Refusal 1 for an unknown attribute, a bad value, or one that cannot be changed
 */
export function alterAttributes(
  rules: Readonly<Record<string, AttributeRule>>,
  current: Attributes | undefined,
  changes: readonly string[],
): Attributes {
  const attributes: Record<string, string> = { ...current }
  for (const change of changes) {
    const sign = change[0]
    const separator = change.indexOf('=')
    const name = separator < 0 ? change.slice(1) : change.slice(1, separator)
    if ((sign !== '+' && sign !== '-') || (sign === '+') !== separator > 0)
      throw refusal(`add/alter attribute format is wrong: ${change}`)
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
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

/** Changes as bodies carry them: `+name` or `name` → value, `-name` → anything. */
export function changesOf(attributes: Attributes): string[] {
  return Object.entries(attributes).map(([name, value]) =>
    name.startsWith('-') ? name : `${name.replace(/^\+?/, '+')}=${value}`,
  )
}

function refusal(remark: string): Refusal {
  return new Refusal(ResponseCode.SYSTEM_ERROR, remark)
}
