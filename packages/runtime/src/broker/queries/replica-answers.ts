import { RequestCode, ResponseCode } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import { type Answer, DONE, jsonReply, Refusal } from '../../requests/answer.js'
import { integerField } from '../../requests/fields.js'

/** RocketMQ's own limits for consumers that read old messages; nothing of ours depends on them. */
const COLD_READ = { cgColdReadThreshold: 3_145_728, globalColdReadThreshold: 104_857_600 }

/**
 * Requests about parts this broker has not: replicas [907] and cold-read control [2003] in their empty form; the flush
 * offset of the master [908], which masters do not keep; the epochs of a controller [1007], refused as RocketMQ does.
 */
export function replicaAnswers(store: Pick<MessageStore, 'logEnd'>): [number, Answer][] {
  return [
    [
      RequestCode.GET_BROKER_HA_STATUS,
      () =>
        jsonReply({
          haClientRuntimeInfo: {
            lastReadTimestamp: 0,
            lastWriteTimestamp: 0,
            masterFlushOffset: 0,
            maxOffset: 0,
            transferredByteInSecond: 0,
          },
          haConnectionInfo: [],
          inSyncSlaveNums: 0,
          master: true,
          masterCommitLogMaxOffset: store.logEnd,
        }),
    ],
    [
      RequestCode.RESET_MASTER_FLUSH_OFFSET,
      ({ command }) => {
        integerField(command, 'masterFlushOffset')
        return DONE
      },
    ],
    [
      RequestCode.GET_BROKER_EPOCH_CACHE,
      () => {
        throw new Refusal(ResponseCode.SYSTEM_ERROR, 'this broker has no controller, so there are no epochs')
      },
    ],
    [
      RequestCode.GET_COLD_DATA_FLOW_CTR_INFO,
      () => jsonReply({ runtimeTable: {}, configTable: {}, ...COLD_READ, globalAcc: 0 }),
    ],
  ]
}
