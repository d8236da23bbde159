import { RequestCode } from '@millrace/core'
import type { MessageStore } from '@millrace/storage'
import { type Answer, jsonReply } from '../../requests/answer.js'

/** RocketMQ's own limits for consumers that read old messages; nothing of ours depends on them. */
const COLD_READ = { cgColdReadThreshold: 3_145_728, globalColdReadThreshold: 104_857_600 }

/** Requests about parts this broker has not, replicas [907] and cold-read control [2003]: their empty form. */
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
      RequestCode.GET_COLD_DATA_FLOW_CTR_INFO,
      () => jsonReply({ runtimeTable: {}, configTable: {}, ...COLD_READ, globalAcc: 0 }),
    ],
  ]
}
