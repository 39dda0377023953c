/** A WebSocket client that writes whatever it is given, and reads what the server says of it. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface RawFrame {
  readonly opcode: number
  readonly payload: Buffer
  /** Default true. */
  readonly fin?: boolean
  /** Three bits that mean nothing where nothing was agreed on. Default 0. */
  readonly reserved?: number
  /** What a client has to do. Default true. */
  readonly masked?: boolean
  /** What the header says of the payload. Default: the truth. */
  readonly declaredBytes?: number
}

const lengthOf = (bytes: number): { readonly bits: number; readonly extra: Buffer } => {
  if (bytes < 126) return { bits: bytes, extra: Buffer.alloc(0) }
  const isShort = bytes < 65_536
  const extra = Buffer.alloc(isShort ? 2 : 8)
  if (isShort) extra.writeUInt16BE(bytes)
  else extra.writeBigUInt64BE(BigInt(bytes))
  return { bits: isShort ? 126 : 127, extra }
}

export const encodeFrame = ({ opcode, payload, fin = true, reserved = 0, masked = true, declaredBytes }: RawFrame): Buffer => {
  const { bits, extra } = lengthOf(declaredBytes ?? payload.length)
  const head = Buffer.from([(fin ? 0x80 : 0) | (reserved << 4) | opcode, (masked ? 0x80 : 0) | bits])
  if (!masked) return Buffer.concat([head, extra, payload])
  const mask = randomBytes(4)
  const body = Buffer.from(payload)
  for (let index = 0; index < body.length; index++) body[index] = body[index]! ^ mask[index & 3]!
  return Buffer.concat([head, extra, mask, body])
}

/** Of a close frame without one. */
const noCode = 1005

export interface Ended {
  /** Of the server's close frame; undefined where the line ended without one. */
  readonly code: number | undefined
  readonly reason: string
}

export class RawSocket {
  readonly #net: Socket
  readonly ended: Promise<Ended>
  /** Undefined while it is open. */
  end: Ended | undefined
  /** Texts that came, the latest last. */
  texts: string[] = []
  #buffer: Buffer = Buffer.alloc(0)
  #close: Ended | undefined

  private constructor(net: Socket) {
    this.#net = net
    this.ended = new Promise((resolve) => {
      net.once('close', () => {
        this.end = this.#close ?? { code: undefined, reason: '' }
        resolve(this.end)
      })
    })
    net.on('error', () => undefined).on('data', (data) => this.#read(data))
  }

  static async open(port: number, path: string): Promise<RawSocket> {
    const net = connect(port, '127.0.0.1').setNoDelay(true)
    const key = randomBytes(16).toString('base64')
    const words = [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Upgrade: websocket', 'Connection: Upgrade']
    net.write(`${[...words, `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'].join('\r\n')}\r\n\r\n`)
    const rest = await new Promise<Buffer>((resolve, reject) => {
      let head = Buffer.alloc(0)
      const fail = (): void => reject(new Error(`the handshake failed: ${head.toString().split('\r\n')[0]}`))
      net.once('error', fail).once('close', fail)
      net.on('data', function heard(data) {
        head = Buffer.concat([head, data])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        net.off('data', heard).off('error', fail).off('close', fail)
        if (head.toString('latin1').startsWith('HTTP/1.1 101')) resolve(head.subarray(end + 4))
        else fail()
      })
    })
    const socket = new RawSocket(net)
    if (rest.length > 0) socket.#read(rest)
    return socket
  }

  write(bytes: Buffer): void {
    if (this.#net.writable) this.#net.write(bytes)
  }

  send(frame: RawFrame): void {
    this.write(encodeFrame(frame))
  }

  #read(data: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? data : Buffer.concat([this.#buffer, data])
    for (;;) {
      const short = (this.#buffer[1] ?? 0) & 0x7f
      const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2
      if (this.#buffer.length < headBytes) return
      const bytes = short === 126 ? this.#buffer.readUInt16BE(2) : short === 127 ? Number(this.#buffer.readBigUInt64BE(2)) : short
      if (this.#buffer.length < headBytes + bytes) return
      const payload = this.#buffer.subarray(headBytes, headBytes + bytes)
      this.#take(this.#buffer[0]! & 0x0f, payload)
      this.#buffer = this.#buffer.subarray(headBytes + bytes)
    }
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === opcodes.text) this.texts.push(payload.toString())
    else if (opcode === opcodes.ping) this.send({ opcode: opcodes.pong, payload })
    else if (opcode === opcodes.close) {
      const code = payload.length >= 2 ? payload.readUInt16BE() : noCode
      this.#close = { code, reason: payload.subarray(2).toString() }
      this.send({ opcode: opcodes.close, payload: payload.subarray(0, 2) })
    }
  }

  /** At once, without a word. */
  reset(): void {
    this.#net.resetAndDestroy()
  }
}
