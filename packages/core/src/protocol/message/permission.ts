/** Bits of a topic's permission. */
export const Permission = { INHERIT: 1, WRITE: 2, READ: 4 } as const

export function isReadable(permission: number): boolean {
  return (permission & Permission.READ) !== 0
}

export function isWriteable(permission: number): boolean {
  return (permission & Permission.WRITE) !== 0
}

export function isInherited(permission: number): boolean {
  return (permission & Permission.INHERIT) !== 0
}

/** `RW-` and the like. */
export function formatPermission(permission: number): string {
  return `${isReadable(permission) ? 'R' : '-'}${isWriteable(permission) ? 'W' : '-'}${isInherited(permission) ? 'X' : '-'}`
}
