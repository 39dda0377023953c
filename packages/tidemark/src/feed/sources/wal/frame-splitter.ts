import { TidemarkError } from '../../../errors.js'

/** Takes one message of the server: its kind and its body. The body may be kept; nobody writes to it again. */
export type TakeFrame = (kind: number, body: Buffer) => void

const headerBytes = 5
/** Postgres allows a message a gigabyte; its length counts itself. */
const largest = 2 ** 30 + 8

/**
 * Cuts what a socket gives into messages. The driver's own parser is not used: it writes over the buffer whose slices it has handed out, and
 * a feed keeps them until its consumer is ready.
 */
export class FrameSplitter {
  readonly #take: TakeFrame
  /** The beginning of a message that is not whole yet. */
  #parts: Buffer[] = []
  #held = 0
  /** How many bytes the held message needs in all. */
  #wanted = headerBytes

  constructor(take: TakeFrame) {
    this.#take = take
  }

  push(chunk: Buffer): void {
    if (this.#held === 0) {
      this.#cut(chunk)
      return
    }
    this.#parts.push(chunk)
    this.#held += chunk.length
    if (this.#held < this.#wanted) return
    const whole = Buffer.concat(this.#parts, this.#held)
    this.#parts = []
    this.#held = 0
    this.#cut(whole)
  }

  #cut(bytes: Buffer): void {
    let at = 0
    this.#wanted = headerBytes
    while (at + headerBytes <= bytes.length) {
      const length = bytes.readUInt32BE(at + 1)
      if (length < 4 || length > largest) {
        throw new TidemarkError('TM_FEED_PROTOCOL', { reason: `a message says that it is ${length} bytes long` })
      }
      const end = at + 1 + length
      if (end > bytes.length) {
        this.#wanted = end - at
        break
      }
      this.#take(bytes[at] as number, bytes.subarray(at + headerBytes, end))
      at = end
    }
    if (at === bytes.length) return
    this.#parts.push(bytes.subarray(at))
    this.#held = bytes.length - at
  }
}
