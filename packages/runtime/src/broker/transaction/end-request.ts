import { ResponseCode, SysFlag } from '@millrace/core'
import type { RemotingRequest } from '../../listener/peer.js'
import { Refusal } from '../../requests/answer.js'
import { booleanField, integerField, textField } from '../../requests/fields.js'
import { immunityMs } from './checks.js'
import { type Half, readHalf } from './half-message.js'
import type { HalfStore } from './half-recovery.js'
import { HALF } from './half-states.js'

/** What a producer decided. Undefined: nothing yet, and no answer is due. @throws Refusal 1 */
export function decisionOf({ command }: RemotingRequest): typeof HALF.committed | typeof HALF.rolledBack | undefined {
  switch (integerField(command, 'commitOrRollback')) {
    case SysFlag.TRANSACTION_COMMIT:
      return HALF.committed
    case SysFlag.TRANSACTION_ROLLBACK:
      return HALF.rolledBack
    default:
      return undefined
  }
}

/**
 * The half message that a request wants to end. behaviour.md §12
 * @throws Refusal 1 when it is another one than the request says, 604 when the request comes too late
 */
export function halfToEnd(store: HalfStore, now: number, { command }: RemotingRequest): Half {
  const group = textField(command, 'producerGroup')
  const position = integerField(command, 'commitLogOffset')
  const queueOffset = integerField(command, 'tranStateTableOffset')
  const half = readHalf(store, position)
  if (half === undefined) throw refusal('Find prepared transaction message failed')
  const { message, properties } = half
  const immunity = immunityMs(properties)
  if (immunity > 0 && !booleanField(command, 'fromTransactionCheck', false) && now - message.storeTimestamp > immunity)
    throw new Refusal(
      ResponseCode.ILLEGAL_OPERATION,
      `the producer had ${immunity} ms (CHECK_IMMUNITY_TIME_IN_SECONDS) to end this transaction; only the answer to a check can end it now`,
    )
  if (properties['PGROUP'] !== group) throw refusal('The producer group wrong')
  if (message.queueOffset !== queueOffset) throw refusal('The transaction state table offset wrong')
  return half
}

function refusal(remark: string): Refusal {
  return new Refusal(ResponseCode.SYSTEM_ERROR, remark)
}
