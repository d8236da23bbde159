import type { Client } from '@millrace/client'

/** @throws MillraceError TOPIC_NOT_FOUND that names the topic that was probably meant */
export async function requireTopic(client: Client, topic: string): Promise<void> {
  const names = await client.admin.topicList()
  if (!names.includes(topic)) await refuse('TOPIC_NOT_FOUND', `there is no topic "${topic}"`, topic, names)
}

/** @throws MillraceError GROUP_NOT_FOUND that names the group that was probably meant */
export async function requireGroup(client: Client, group: string): Promise<void> {
  const names = await client.admin.groupList()
  if (!names.includes(group)) await refuse('GROUP_NOT_FOUND', `there is no group "${group}"`, group, names)
}

type NotFound = 'TOPIC_NOT_FOUND' | 'GROUP_NOT_FOUND'

async function refuse(code: NotFound, message: string, name: string, names: readonly string[]): Promise<never> {
  const [{ MillraceError }, { didYouMean }] = await Promise.all([
    import('@millrace/core'),
    import('@millrace/runtime/config'),
  ])
  throw new MillraceError(code, message + didYouMean(name, names))
}
