import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readLines } from './journal-line.js'

/** Makes the names in a folder durable, where the system can. */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

/** One file of a journal: written at its end, read from where the writer of its entries is. */
export class Segment {
  /** Sorts by age. */
  readonly order: string
  #path: string
  #handle: FileHandle | undefined
  /** Up to here it is on disk, and up to here it was written on. */
  #durable = 0
  #done = 0
  #entries = 0
  #oldestAt: number | null = null

  private constructor(path: string, order: string, handle: FileHandle) {
    this.#path = path
    this.order = order
    this.#handle = handle
  }

  static async create(path: string, order: string): Promise<Segment> {
    const segment = new Segment(path, order, await open(path, 'ax+', 0o600))
    await syncFolder(dirname(path))
    return segment
  }

  /** Opens what another process left, with all that is whole in it. */
  static async adopt(path: string, order: string): Promise<Segment> {
    const segment = new Segment(path, order, await open(path, 'a+', 0o600))
    const { size } = await segment.#file.stat()
    const lines = readLines(await segment.#bytes(0, size))
    segment.#entries = lines.length
    segment.#durable = lines.reduce((sum, { bytes }) => sum + bytes, 0)
    segment.#oldestAt = lines.find(({ entry }) => entry)?.entry?.at ?? null
    return segment
  }

  get entries(): number {
    return this.#entries
  }

  get bytes(): number {
    return this.#durable
  }

  get oldestAt(): number | null {
    return this.#entries === 0 ? null : this.#oldestAt
  }

  get #file(): FileHandle {
    if (!this.#handle) throw new Error('the file of the journal is closed')
    return this.#handle
  }

  async append(lines: readonly Buffer[], at: number): Promise<void> {
    const bytes = Buffer.concat(lines)
    await this.#file.appendFile(bytes)
    await this.#file.datasync()
    if (this.#entries === 0) this.#oldestAt = at
    this.#durable += bytes.length
    this.#entries += lines.length
  }

  /** What was not written on yet. */
  async read<T>() {
    return readLines<T>(await this.#bytes(this.#done, this.#durable - this.#done))
  }

  async #bytes(from: number, length: number): Promise<Buffer> {
    const buffer = Buffer.alloc(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await this.#file.read(buffer, filled, length - filled, from + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  }

  /** So many lines were written on; `nextAt` is when the first of the rest was appended. */
  passed(lines: number, bytes: number, nextAt: number | null): void {
    this.#done += bytes
    this.#entries -= lines
    this.#oldestAt = nextAt ?? this.#oldestAt
  }

  /** Everything in it was written on: it begins anew. */
  async clear(): Promise<void> {
    await this.#file.truncate(0)
    this.#done = 0
    this.#durable = 0
    this.#entries = 0
  }

  async remove(): Promise<void> {
    await this.close()
    await rm(this.#path, { force: true })
  }

  /** Others may take it from now on. */
  async release(name: string): Promise<void> {
    await this.close()
    const path = join(dirname(this.#path), name)
    await rename(this.#path, path)
    this.#path = path
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }
}
