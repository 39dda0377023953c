/** Bytes of Postgres' binary COPY format, written by hand into one growing block: the hot path of the copy. */

const signature = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00, 0, 0, 0, 0, 0, 0, 0, 0)

export const copyHeader: Uint8Array = signature
export const copyTrailer: Uint8Array = Uint8Array.of(0xff, 0xff)

/** Texts up to this length are written by a loop over their characters; longer ones by the native encoder. */
const shortText = 96

/** What {@link CopyWriter.text} answers where a text holds what Postgres cannot: a NUL byte, or a U+FFFD that may stand for damage. */
export type TextDoubt = 'nul' | 'replacement' | undefined

export class CopyWriter {
  #block: Buffer
  #view: DataView
  #at = 0

  constructor(initialBytes: number) {
    this.#block = Buffer.allocUnsafeSlow(initialBytes)
    this.#view = new DataView(this.#block.buffer)
  }

  get length(): number {
    return this.#at
  }

  /** Goes back to an earlier length: the row being written is left out. */
  rewind(length: number): void {
    this.#at = length
  }

  /** A copy of what stands from one length to another. */
  slice(from: number, to: number): Buffer {
    return Buffer.from(this.#block.subarray(from, to))
  }

  /** Hands the block over and starts a new one. */
  take(nextBytes: number): Buffer {
    const taken = this.#block.subarray(0, this.#at)
    this.#block = Buffer.allocUnsafeSlow(nextBytes)
    this.#view = new DataView(this.#block.buffer)
    this.#at = 0
    return taken
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#block.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#block.length * 2, this.#at + bytes))
    this.#block.copy(grown, 0, 0, this.#at)
    this.#block = grown
    this.#view = new DataView(grown.buffer)
  }

  fieldCount(count: number): void {
    this.#reserve(2)
    this.#view.setInt16(this.#at, count)
    this.#at += 2
  }

  nothing(): void {
    this.#reserve(4)
    this.#view.setInt32(this.#at, -1)
    this.#at += 4
  }

  int16(value: number): void {
    this.#reserve(6)
    this.#view.setInt32(this.#at, 2)
    this.#view.setInt16(this.#at + 4, value)
    this.#at += 6
  }

  int32(value: number): void {
    this.#reserve(8)
    this.#view.setInt32(this.#at, 4)
    this.#view.setInt32(this.#at + 4, value)
    this.#at += 8
  }

  /** A whole number that a double holds exactly. */
  int64(value: number): void {
    this.#reserve(12)
    const high = Math.floor(value / 4_294_967_296)
    this.#view.setInt32(this.#at, 8)
    this.#view.setInt32(this.#at + 4, high)
    this.#view.setUint32(this.#at + 8, value - high * 4_294_967_296)
    this.#at += 12
  }

  bigint64(value: bigint): void {
    this.#reserve(12)
    this.#view.setInt32(this.#at, 8)
    this.#view.setBigInt64(this.#at + 4, value)
    this.#at += 12
  }

  float64(value: number): void {
    this.#reserve(12)
    this.#view.setInt32(this.#at, 8)
    this.#view.setFloat64(this.#at + 4, value)
    this.#at += 12
  }

  float32(value: number): void {
    this.#reserve(8)
    this.#view.setInt32(this.#at, 4)
    this.#view.setFloat32(this.#at + 4, value)
    this.#at += 8
  }

  /** A numeric of the digits `high·10^4 + low + fraction/10^4`, each group below 10,000. */
  numeric(isNegative: boolean, high: number, low: number, fraction: number, scale: number): void {
    this.#reserve(18)
    const first = high > 0 ? 0 : low > 0 ? 1 : 2
    const last = fraction > 0 ? 2 : low > 0 ? 1 : 0
    const groups = Math.max(0, last - first + 1)
    const at = this.#at
    this.#view.setInt32(at, 8 + groups * 2)
    this.#view.setInt16(at + 4, groups)
    this.#view.setInt16(at + 6, groups === 0 ? 0 : 1 - first)
    this.#view.setUint16(at + 8, isNegative && groups > 0 ? 0x4000 : 0)
    this.#view.setUint16(at + 10, scale)
    for (let group = first, to = at + 12; group <= last; group++, to += 2) {
      this.#view.setInt16(to, group === 0 ? high : group === 1 ? low : fraction)
    }
    this.#at = at + 12 + groups * 2
  }

  boolean(value: boolean): void {
    this.#reserve(5)
    this.#view.setInt32(this.#at, 1)
    this.#block[this.#at + 4] = value ? 1 : 0
    this.#at += 5
  }

  bytes(value: Uint8Array): void {
    this.#reserve(4 + value.length)
    this.#view.setInt32(this.#at, value.length)
    this.#block.set(value, this.#at + 4)
    this.#at += 4 + value.length
  }

  /** A text as UTF-8, after `prefix` bytes of value 1 (jsonb's version byte). Nothing is written where there is a doubt. */
  text(value: string, prefix = 0): TextDoubt {
    const { length } = value
    this.#reserve(4 + prefix + length * 3)
    const start = this.#at + 4
    if (prefix === 1) this.#block[start] = 1
    if (length <= shortText && this.#ascii(value, start + prefix)) {
      this.#view.setInt32(this.#at, prefix + length)
      this.#at = start + prefix + length
      return undefined
    }
    const written = this.#block.write(value, start + prefix, 'utf8')
    const doubt = this.#doubt(start + prefix, written, length)
    if (doubt) return doubt
    this.#view.setInt32(this.#at, prefix + written)
    this.#at = start + prefix + written
    return undefined
  }

  /** Writes a text of plain ASCII; false where it holds anything else, or a NUL. */
  #ascii(value: string, start: number): boolean {
    const block = this.#block
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code > 127 || code === 0) return false
      block[start + i] = code
    }
    return true
  }

  #doubt(start: number, written: number, length: number): TextDoubt {
    const text = this.#block.subarray(start, start + written)
    if (text.includes(0)) return 'nul'
    return written !== length && text.includes('\uFFFD', 0, 'utf8') ? 'replacement' : undefined
  }
}
