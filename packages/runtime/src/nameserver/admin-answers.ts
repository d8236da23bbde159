import { decodeTopicRoute, RequestCode, ResponseCode } from '@millrace/core'
import type { MetadataTable } from '@millrace/storage'
import { type NameserverConfig, nameserverConfig } from '../config/index.js'
import { type Answer, DONE, jsonReply, Refusal, textReply } from '../requests/answer.js'
import { bodyOf } from '../requests/body.js'
import { type ConfigChange, ConfigChanges } from '../requests/config-changes.js'
import { optionalTextField, textField } from '../requests/fields.js'
import { propertiesText } from '../requests/properties-text.js'
import type { KvConfig } from './kv-config.js'
import type { RouteTable } from './route-table.js'

/** What may be changed over the network: no path, no listener, nothing of security. */
const CHANGEABLE: ReadonlySet<keyof NameserverConfig> = new Set<keyof NameserverConfig>([
  'enableTopicList',
  'orderMessageEnable',
  'returnOrderTopicConfigToBroker',
])

/** Requests of administrators, by code. behaviour.md §1 */
export function adminAnswers(
  routes: RouteTable,
  kv: KvConfig,
  config: NameserverConfig,
  configRecords: MetadataTable<ConfigChange>,
): [number, Answer][] {
  const changes = new ConfigChanges<NameserverConfig>({
    config,
    records: configRecords,
    changeable: CHANGEABLE,
    check: nameserverConfig,
  })
  return [
    [
      RequestCode.PUT_KV_CONFIG,
      async ({ command }) => {
        await kv.put(textField(command, 'namespace'), textField(command, 'key'), textField(command, 'value'))
        return DONE
      },
    ],
    [
      RequestCode.GET_KV_CONFIG,
      ({ command }) => {
        const namespace = textField(command, 'namespace')
        const key = textField(command, 'key')
        const value = kv.get(namespace, key)
        if (value === undefined)
          throw new Refusal(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace} Key: ${key}`)
        return { ...DONE, extFields: { value } }
      },
    ],
    [
      RequestCode.DELETE_KV_CONFIG,
      async ({ command }) => {
        await kv.delete(textField(command, 'namespace'), textField(command, 'key'))
        return DONE
      },
    ],
    [
      RequestCode.GET_KVLIST_BY_NAMESPACE,
      ({ command }) => {
        const namespace = textField(command, 'namespace')
        const table = kv.list(namespace)
        if (!table) throw new Refusal(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace}`)
        return jsonReply({ table })
      },
    ],
    [
      RequestCode.WIPE_WRITE_PERM_OF_BROKER,
      ({ command }) => {
        const count = routes.setWritable(textField(command, 'brokerName'), false)
        return { ...DONE, extFields: { wipeTopicCount: String(count) } }
      },
    ],
    [
      RequestCode.ADD_WRITE_PERM_OF_BROKER,
      ({ command }) => {
        const count = routes.setWritable(textField(command, 'brokerName'), true)
        return { ...DONE, extFields: { addTopicCount: String(count) } }
      },
    ],
    [
      RequestCode.DELETE_TOPIC_IN_NAMESRV,
      ({ command }) => {
        routes.deleteTopic(textField(command, 'topic'), optionalTextField(command, 'clusterName'))
        return DONE
      },
    ],
    [
      RequestCode.REGISTER_TOPIC_IN_NAMESRV,
      ({ command }) => {
        const topic = textField(command, 'topic')
        routes.registerTopic(topic, bodyOf(decodeTopicRoute(command.body)).queueDatas)
        return DONE
      },
    ],
    [
      RequestCode.UPDATE_NAMESRV_CONFIG,
      async ({ command }) => {
        await changes.apply(command.body?.toString('utf8') ?? '')
        return DONE
      },
    ],
    [RequestCode.GET_NAMESRV_CONFIG, () => textReply(propertiesText(config))],
  ]
}
