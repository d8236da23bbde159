import type { Serde } from './serde.js'

/**
 * What libraries that check data have in common.
 * @see the Standard Schema specification, version 1
 */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>
    readonly types?: { readonly input: unknown; readonly output: T } | undefined
  }
}

type SchemaResult<T> = { readonly value: T; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A serde whose values are checked on their way in and out; what a schema transforms is transformed when it is read. */
export function schemaSerde<T>(serde: Serde<T>, schema: StandardSchema<T>): Serde<T> {
  return {
    name: serde.name,
    serialize(value) {
      check(schema, value)
      return serde.serialize(value)
    },
    deserialize: body => check(schema, serde.deserialize(body)),
  }
}

function check<T>(schema: StandardSchema<T>, value: unknown): T {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise)
    throw new TypeError(
      `the schema (${schema['~standard'].vendor}) answers asynchronously; use one that answers at once`,
    )
  if (result.issues === undefined) return result.value
  throw new TypeError(`it does not fit the schema: ${result.issues.map(describeIssue).join('; ')}`)
}

function describeIssue({ message, path }: SchemaIssue): string {
  if (path === undefined || path.length === 0) return message
  const names = path.map(part => String(typeof part === 'object' ? part.key : part))
  return `${names.join('.')}: ${message}`
}
