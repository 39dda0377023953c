/** Checksums of sets of rows: the sum of 64-bit hashes, the same whatever the order. */
import { createHash, hash } from 'node:crypto'

/** 64 bits of a row's hash as two halves, so that sums stay exact in doubles. */
export interface RowHash {
  readonly high: number
  readonly low: number
}

const md5 =
  typeof hash === 'function'
    ? (text: string): string => hash('md5', text, 'hex')
    : (text: string): string => createHash('md5').update(text).digest('hex')

/** The first 64 bits of the MD5 of a row's text: what Postgres computes too. Not a protection against forgery. */
export const hashRow = (text: string): RowHash => {
  const hex = md5(text)
  return { high: Number.parseInt(hex.slice(0, 8), 16), low: Number.parseInt(hex.slice(8, 16), 16) }
}

/** The text of a row: each canonical text with its length in bytes before it, NULL as a tilde. */
export const rowText = (texts: readonly (string | null)[]): string => {
  let text = ''
  for (const part of texts) text += part === null ? '~' : `${Buffer.byteLength(part)}:${part}`
  return text
}

export class Checksum {
  rows = 0
  #high = 0n
  #low = 0n
  #partHigh = 0
  #partLow = 0

  add({ high, low }: RowHash): void {
    this.rows++
    this.#partHigh += high
    this.#partLow += low
    if ((this.rows & 0xfffff) === 0) this.#settle()
  }

  /** Adds a sum that Postgres made: rows, and the sums of both halves as digits. */
  addSums(rows: number, high: string, low: string): void {
    this.rows += rows
    this.#high += BigInt(high)
    this.#low += BigInt(low)
  }

  #settle(): void {
    this.#high += BigInt(this.#partHigh)
    this.#low += BigInt(this.#partLow)
    this.#partHigh = 0
    this.#partLow = 0
  }

  addAll(other: Checksum): void {
    other.#settle()
    this.addSums(other.rows, String(other.#high), String(other.#low))
  }

  /** 16 hex digits, and the rows before them. */
  get value(): string {
    this.#settle()
    return BigInt.asUintN(64, (this.#high << 32n) + this.#low)
      .toString(16)
      .padStart(16, '0')
  }

  equals(other: Checksum): boolean {
    return this.rows === other.rows && this.value === other.value
  }
}
