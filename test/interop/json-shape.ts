/** Maps whose keys are data: names of topics, addresses, queues. */
const MAPS =
  /^(topicConfigTable|subscriptionGroupTable|brokerAddrTable|clusterAddrTable|brokerAddrs|offsetTable|subscriptionTable|mqTable|mqPopTable|statusTable|forbiddenTable|attributes|properties|userConsumerInfo|topicQueueMappingInfoMap|topicQueueMappingDetailMap)$/

/**
 * The paths of all members of a JSON text as RocketMQ writes it, where a key may be a number or a whole object:
 * `offsetTable.*.brokerOffset`, `queueDatas[].perm`. Throws where the text cannot be read to its end.
 */
export function jsonPaths(text: string): string[] {
  const paths = new Set<string>()
  let at = 0
  const fail = (what: string): never => {
    throw new Error(`${what} expected at ${at}: ${text.slice(at, at + 60)}`)
  }
  const skip = () => {
    while (/\s/.test(text[at] ?? '')) at++
  }
  const take = (pattern: RegExp): string | undefined => {
    skip()
    const sticky = new RegExp(pattern.source, 'y')
    sticky.lastIndex = at
    const match = sticky.exec(text)
    if (match) at += match[0].length
    return match?.[0]
  }
  const value = (path: string): void => {
    if (take(/\{/)) members(path)
    else if (take(/\[/)) items(path)
    else if (!take(/"(?:[^"\\]|\\.)*"|-?[0-9.]+(?:[eE][-+]?[0-9]+)?|true|false|null/)) fail('a value')
  }
  const members = (path: string): void => {
    if (take(/\}/)) return
    const isMap = MAPS.test(path.split('.').at(-1)!)
    do {
      const key = take(/"(?:[^"\\]|\\.)*"|-?[0-9]+/)
      if (key === undefined) {
        if (!take(/\{/)) fail('a key')
        members(`${path}.key`)
      }
      if (!take(/:/)) fail('":"')
      const name = key === undefined || isMap ? '*' : key.replaceAll('"', '')
      const inner = path ? `${path}.${name}` : name
      paths.add(inner)
      value(inner)
    } while (take(/,/))
    if (!take(/\}/)) fail('"}"')
  }
  const items = (path: string): void => {
    if (take(/\]/)) return
    do value(`${path}[]`)
    while (take(/,/))
    if (!take(/\]/)) fail('"]"')
  }
  value('')
  skip()
  if (at !== text.length) fail('the end')
  return [...paths].sort()
}
