const SECRET = /password|secret|credential|accesskey|authenticationuser/i

/** `name=value` lines, sorted by name, as RocketMQ prints its configuration; secrets as `***`. */
export function propertiesText(values: object): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${SECRET.test(name) && value !== '' ? '***' : String(value)}\n`)
    .sort()
    .join('')
}
