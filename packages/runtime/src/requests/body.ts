import { type JsonInput, ResponseCode } from '@millrace/core'
import { Refusal } from './answer.js'

/** The value of a decoded body. @throws Refusal 1 with the reason when it is none */
export function bodyOf<T>(
  decoded: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string },
): T {
  if (decoded.ok) return decoded.value
  throw new Refusal(ResponseCode.SYSTEM_ERROR, `${decoded.reason}; send the body that this request code asks for`)
}

/** Plain data for `formatJson`, which TypeScript does not take for one because of readonly interfaces. */
export function asJson(value: object): JsonInput {
  return value as { readonly [name: string]: JsonInput }
}
