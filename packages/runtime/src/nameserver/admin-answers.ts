import { decodeTopicRoute, RequestCode, ResponseCode } from '@millrace/core'
import { type Answer, DONE, jsonReply, Refusal, textReply } from '../requests/answer.js'
import { bodyOf } from '../requests/body.js'
import { optionalTextField, textField } from '../requests/fields.js'
import type { KvConfig } from './kv-config.js'
import type { RouteTable } from './route-table.js'

/** Requests of administrators, by code. behaviour.md §1 */
export function adminAnswers(routes: RouteTable, kv: KvConfig, configText: () => string): [number, Answer][] {
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
      () => {
        throw new Refusal(
          ResponseCode.NO_PERMISSION,
          'Can not update config over the network; change the configuration and restart the nameserver',
        )
      },
    ],
    [RequestCode.GET_NAMESRV_CONFIG, () => textReply(configText())],
  ]
}
