/** WebSocket frames as a server sends them: never masked, never in fragments, so that one is built once for any number of sockets. */

declare const isFrame: unique symbol

/** One frame, header and payload, as it goes over the wire. */
export type Frame = Buffer & { readonly [isFrame]: true }

const fin = 0x80
const opcodes = { text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const

const headerBytes = (payloadBytes: number): number => (payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10)

/** A frame of this size with its header written, and where the payload goes. */
const open = (opcode: number, payloadBytes: number): readonly [frame: Frame, offset: number] => {
  const offset = headerBytes(payloadBytes)
  const frame = Buffer.allocUnsafe(offset + payloadBytes) as Frame
  frame[0] = fin | opcode
  if (offset === 2) frame[1] = payloadBytes
  else if (offset === 4) {
    frame[1] = 126
    frame.writeUInt16BE(payloadBytes, 2)
  } else {
    frame[1] = 127
    frame.writeUInt32BE(0, 2)
    frame.writeUInt32BE(payloadBytes, 6)
  }
  return [frame, offset]
}

const ofBytes = (opcode: number, payload: Uint8Array): Frame => {
  const [frame, offset] = open(opcode, payload.byteLength)
  frame.set(payload, offset)
  return frame
}

/** A text frame; bytes have to be valid UTF-8. */
export const textFrame = (payload: string | Uint8Array): Frame => {
  if (typeof payload !== 'string') return ofBytes(opcodes.text, payload)
  const [frame, offset] = open(opcodes.text, Buffer.byteLength(payload))
  frame.write(payload, offset, 'utf8')
  return frame
}

export const binaryFrame = (payload: Uint8Array): Frame => ofBytes(opcodes.binary, payload)

/** At most 125 bytes of payload. */
export const pingFrame = (payload: Uint8Array): Frame => ofBytes(opcodes.ping, payload)

/** At most 125 bytes of payload. */
export const pongFrame = (payload: Uint8Array): Frame => ofBytes(opcodes.pong, payload)
