const highestSmall = 0x7f

/** Bytes written one after the other into a buffer that grows. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(initialBytes = 1024) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  get length(): number {
    return this.#length
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  /** A whole number from 0 to 2^53 - 1, seven bits a byte, the lowest first. */
  varint(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest > highestSmall) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#buffer[this.#length++] = rest
  }

  uint64(value: bigint): void {
    this.#reserve(8)
    this.#buffer.writeBigUInt64BE(value, this.#length)
    this.#length += 8
  }

  float64(value: number): void {
    this.#reserve(8)
    this.#buffer.writeDoubleBE(value, this.#length)
    this.#length += 8
  }

  /** Text, its length in bytes plus `offset` before it. */
  text(value: string, offset = 0): void {
    const length = Buffer.byteLength(value)
    this.varint(length + offset)
    this.#reserve(length)
    this.#buffer.write(value, this.#length, length, 'utf8')
    this.#length += length
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** What was written. Valid until more is. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
