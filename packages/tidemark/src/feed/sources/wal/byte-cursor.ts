import { TidemarkError } from '../../../errors.js'

/** What Buffer has and its types leave out: decoding without the detour through the name of the encoding. */
interface Utf8 {
  utf8Slice(start: number, end: number): string
}

/** Reads a frame from front to back. Reading past its end raises TM_FEED_PROTOCOL, so that a cut frame is never taken for a short one. */
export class ByteCursor {
  #bytes = Buffer.alloc(0) as Buffer & Utf8
  #at = 0
  #end = 0

  /** Starts on another frame, at `at`. */
  reset(bytes: Buffer, at = 0): void {
    this.#bytes = bytes as Buffer & Utf8
    this.#at = at
    this.#end = bytes.length
    if (at > bytes.length) throw this.#cut(0)
  }

  uint8(): number {
    const at = this.#take(1)
    return this.#bytes[at] as number
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8))
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8))
  }

  text(length: number): string {
    const at = this.#take(length)
    return this.#bytes.utf8Slice(at, at + length)
  }

  /** A copy: the frame's own bytes belong to the socket's buffer. */
  copy(length: number): Buffer {
    const at = this.#take(length)
    return Buffer.from(this.#bytes.subarray(at, at + length))
  }

  /** Text up to a zero byte. */
  cstring(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw this.#cut(1)
    const text = this.#bytes.utf8Slice(this.#at, end)
    this.#at = end + 1
    return text
  }

  /** Raises where something is left. */
  finish(): void {
    if (this.#at !== this.#end) {
      throw new TidemarkError('TM_FEED_PROTOCOL', { reason: `a message goes on for ${this.#end - this.#at} bytes after its end` })
    }
  }

  #take(length: number): number {
    const at = this.#at
    if (length < 0 || at + length > this.#end) throw this.#cut(length)
    this.#at = at + length
    return at
  }

  #cut(length: number): TidemarkError<'TM_FEED_PROTOCOL'> {
    const reason = `a message of ${this.#end} bytes was read at ${this.#at}, where it should have ${length} more`
    return new TidemarkError('TM_FEED_PROTOCOL', { reason })
  }
}
