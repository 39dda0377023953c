/**
 * Which versions were acknowledged, in a file that all processes read and write: for each key one record of each writer, so that no two write
 * the same. A record holds the last version, the position of its write, and when each of the last few versions was acknowledged.
 */
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'

const timesKept = 32
const recordBytes = 16 * (1 + timesKept)

/** What stood on the board of one key. */
export interface Acknowledged {
  readonly version: number
  /** Of the write of that version; 0 where its writer was told none. */
  readonly position: bigint
}

/** Milliseconds since 1970, with what is behind the point. */
export const wallMs = (): number => performance.timeOrigin + performance.now()

export class Board {
  readonly #file: number
  readonly #writers: number
  readonly #view: Buffer

  constructor(path: string, keys: number, writers: number) {
    this.#file = openSync(path, 'a+')
    closeSync(this.#file)
    this.#file = openSync(path, 'r+')
    this.#writers = writers
    this.#view = Buffer.alloc(recordBytes * writers)
    ftruncateSync(this.#file, keys * writers * recordBytes)
  }

  acknowledge(key: number, writer: number, version: number, position: bigint): void {
    const at = (key * this.#writers + writer) * recordBytes
    const record = Buffer.alloc(16)
    record.writeDoubleLE(version)
    record.writeDoubleLE(wallMs(), 8)
    writeSync(this.#file, record, 0, 16, at + 16 * (1 + (version % timesKept)))
    readSync(this.#file, record, 0, 8, at)
    // Two writes of this process may be told of in another order than they were done.
    if (record.readDoubleLE() > version) return
    record.writeDoubleLE(version)
    record.writeBigUInt64LE(position, 8)
    writeSync(this.#file, record, 0, 16, at)
  }

  read(key: number): Acknowledged {
    const view = this.#view
    readSync(this.#file, view, 0, view.length, key * view.length)
    let [version, position] = [0, 0n]
    for (let at = 0; at < view.length; at += recordBytes) {
      const own = view.readDoubleLE(at)
      if (own <= version) continue
      version = own
      position = view.readBigUInt64LE(at + 8)
    }
    return { version, position }
  }

  /** When the first of those after `version` was acknowledged, in milliseconds since 1970; undefined where that is too long ago to be known. */
  supersededAt(key: number, version: number): number | undefined {
    const view = Buffer.alloc(this.#view.length)
    readSync(this.#file, view, 0, view.length, key * view.length)
    let [first, at]: [number, number | undefined] = [Number.POSITIVE_INFINITY, undefined]
    for (let offset = 0; offset < view.length; offset += 16) {
      const found = view.readDoubleLE(offset)
      if (offset % recordBytes === 0 || found <= version || found >= first) continue
      first = found
      at = view.readDoubleLE(offset + 8)
    }
    return at
  }

  close(): void {
    closeSync(this.#file)
  }
}
