/** Reads what a {@link ByteWriter} wrote. Raises RangeError where bytes are missing. */
export class ByteReader {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  get atEnd(): boolean {
    return this.#at === this.#buffer.length
  }

  byte(): number {
    const value = this.#buffer[this.#at]
    if (value === undefined) throw new RangeError('the bytes end too early')
    this.#at += 1
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a number is too large')
      if (byte < 0x80) return value
      scale *= 128
    }
  }

  uint64(): bigint {
    return this.raw(8).readBigUInt64BE(0)
  }

  float64(): number {
    return this.raw(8).readDoubleBE(0)
  }

  text(length: number = this.varint()): string {
    const from = this.#at
    return this.raw(length) && this.#buffer.toString('utf8', from, from + length)
  }

  raw(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#buffer.length) throw new RangeError('the bytes end too early')
    const bytes = this.#buffer.subarray(this.#at, end)
    this.#at = end
    return bytes
  }
}
