import { type RemotingCommand, ResponseCode } from '@millrace/core'
import { Refusal } from './answer.js'

/** Longest decimal of a signed 64-bit number, with sign. */
const INTEGER = /^[+-]?\d{1,19}$/

/** Required header field. @throws Refusal 1 when it is missing or empty */
export function textField(command: RemotingCommand, name: string): string {
  const value = command.extFields[name]
  if (value === undefined || value === '') throw missing(command, name)
  return value
}

/** Undefined when the field is missing or empty. */
export function optionalTextField(command: RemotingCommand, name: string): string | undefined {
  return command.extFields[name] || undefined
}

/**
 * Required integer. Values beyond ±(2^53 − 1), such as Long.MAX_VALUE as "no limit", are brought to that bound.
 * @throws Refusal 1 when it is missing or not an integer
 */
export function integerField(command: RemotingCommand, name: string): number {
  const value = optionalIntegerField(command, name)
  if (value === undefined) throw missing(command, name)
  return value
}

/** Undefined when the field is missing. @throws Refusal 1 when it is not an integer */
export function optionalIntegerField(command: RemotingCommand, name: string): number | undefined {
  const text = optionalTextField(command, name)
  if (text === undefined) return undefined
  if (!INTEGER.test(text))
    throw new Refusal(
      ResponseCode.SYSTEM_ERROR,
      `field ${name} of request ${command.code} is "${text.slice(0, 40)}"; send an integer`,
    )
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(text)))
}

/** Some clients write booleans as 0 and 1. clients.md */
export function booleanField(command: RemotingCommand, name: string, otherwise: boolean): boolean {
  const text = command.extFields[name]
  if (text === undefined || text === '') return otherwise
  return text === '1' || text.toLowerCase() === 'true'
}

function missing(command: RemotingCommand, name: string): Refusal {
  return new Refusal(ResponseCode.SYSTEM_ERROR, `field ${name} of request ${command.code} is missing`)
}
