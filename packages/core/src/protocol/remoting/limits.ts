/** Version that we report in responses and in requests of our own: the ordinal of V5_4_0. remoting.md §5 */
export const BROKER_VERSION = 493

/** Most bytes that may follow the length word of a frame. The official default; a longer frame ends the connection. */
export const FRAME_BYTES_MAX = 16_777_216

/** The header length has 24 bits. remoting.md §1 */
export const HEADER_BYTES_MAX = 0xffffff

/**
 * Language in our headers. Older Java clients read it into an enum that has no NODE_JS yet,
 * so we say what the official broker says.
 */
export const OUR_LANGUAGE = 'JAVA'

/** Bits of the header's flag. remoting.md §2 */
export const CommandFlag = { RESPONSE: 1, ONEWAY: 2 } as const
