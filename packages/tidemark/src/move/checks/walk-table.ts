/**
 * Walks one table on both sides in short steps and names the rows that may not be alike; whether they are, a look at each tells.
 *
 * Whole-number keys are walked in stretches: the sums of either side, halved where they differ. Other keys sort differently on the two
 * sides, so the file is walked in its own order and each row looked up in Postgres, then Postgres' keys are looked up in the file.
 */
import { rowColumn } from '../log-key.js'
import { type Key, type Packed, packKey, unpackKey } from '../row-keys.js'
import { Checksum, type RowHash } from '../verify/checksum.js'
import { type ExpectedRow, hashOf } from '../verify/source-rows.js'
import type { KeyStretch, TargetHash } from '../verify/target-rows.js'
import { idOf } from './link.js'
import { type RowName, type TableComparer, unkeyed } from './table-comparer.js'

/** Where a walk stands; plain data, kept between two processes. */
export type WalkCursor =
  | { readonly phase: 'stretches' | 'file'; readonly after: readonly Packed[] | null }
  | { readonly phase: 'target'; readonly after: readonly string[] | null }
  /** Last where the key is the rowid, which Postgres does not keep unique or even there. */
  | { readonly phase: 'unkeyed'; readonly after: null }

export interface WalkStep {
  /** Where the next step begins; null at the end. */
  readonly cursor: WalkCursor | null
  /** Rows of the file that were read. */
  readonly rows: number
  readonly suspects: readonly RowName[]
}

/** A row of the file within a stretch. */
interface Entry {
  readonly key: Key
  /** null where the row should not be in Postgres, or cannot be. */
  readonly hash: RowHash | null
  /** True where it should be in Postgres and cannot. */
  readonly isLost: boolean
}

interface Found {
  readonly suspects: readonly RowName[]
  /** How far it came, where Postgres had too many rows for one step. */
  readonly until?: Key | null
}

interface Started {
  readonly atMs: number
  readonly cpu: NodeJS.CpuUsage
}

const start = (): Started => ({ atMs: performance.now(), cpu: process.cpuUsage() })

const targetReadMs = 20
const [fewestRows, mostRows] = [32, 4000]
/** Rows of a stretch whose hashes are compared one by one. */
const leafRows = 64

const stretchText = (key: Key | null): readonly string[] | null => key?.map(String) ?? null
const isWholeKey = (key: Key | null): boolean => key?.every((part) => typeof part === 'bigint') ?? true

const sumOf = (entries: readonly Entry[]): Checksum => {
  const sum = new Checksum()
  for (const { hash } of entries) if (hash) sum.add(hash)
  return sum
}

/** True for a key behind another of whole numbers; SQLite sorts text behind every number. */
const isBeyond = (key: Key, end: readonly bigint[]): boolean => {
  for (const [i, part] of key.entries()) {
    if (typeof part === 'string' || typeof part === 'object') return part !== null
    if (part !== end[i]) return part > end[i]!
  }
  return false
}

const isSame = (a: RowHash | null | undefined, b: RowHash | undefined): boolean => a?.high === b?.high && a?.low === b?.low

export class TableWalk {
  readonly #comparer: TableComparer
  #limit = 500

  constructor(comparer: TableComparer) {
    this.#comparer = comparer
  }

  get start(): WalkCursor {
    return { phase: this.#comparer.link.isOrdered ? 'stretches' : 'file', after: null }
  }

  get #last(): WalkCursor | null {
    return this.#comparer.link.columns[0]?.target === rowColumn ? { phase: 'unkeyed', after: null } : null
  }

  async step(cursor: WalkCursor): Promise<WalkStep> {
    if (cursor.phase === 'unkeyed') return { cursor: null, rows: 0, suspects: [unkeyed] }
    if (cursor.phase === 'target') return this.#targetStep(cursor.after)
    await this.#comparer.rejects.refresh()
    const after = unpackKey(cursor.after)
    return cursor.phase === 'file' ? this.#fileStep(after) : this.#stretchStep(after)
  }

  /** Steps stay short, whatever the size of a row. On a busy machine the clock alone would call every step a long one. */
  #adapt(rows: number, started: Started): void {
    const { user, system } = process.cpuUsage(started.cpu)
    const elapsedMs = Math.max(0.2, Math.min(performance.now() - started.atMs, (2 * (user + system)) / 1000))
    const fitting = (Math.max(1, rows) * targetReadMs) / elapsedMs
    this.#limit = Math.round(Math.min(mostRows, this.#limit * 2, Math.max(fewestRows, fitting)))
  }

  async #stretchStep(after: Key | null): Promise<WalkStep> {
    const entries: Entry[] = []
    const started = start()
    const read = await this.#comparer.walk.summarize(after, this.#limit, (row, hash) => {
      entries.push({ key: row.key, hash, isLost: !hash && !row.rejected })
    })
    this.#adapt(entries.length, started)
    // Something else than a whole number in the key: Postgres cannot be asked for a stretch that ends there.
    if (!isWholeKey(read.last)) return { cursor: { phase: 'file', after: null }, rows: 0, suspects: [] }
    const until = read.done ? null : read.last
    const found = await this.#suspectsIn(entries, after, until)
    const end = found.until === undefined ? until : found.until
    return {
      cursor: end === null ? this.#last : { phase: 'stretches', after: packKey(end) },
      rows: entries.length,
      suspects: found.suspects,
    }
  }

  /** Halves a stretch until what differs is small. */
  async #suspectsIn(entries: readonly Entry[], after: Key | null, until: Key | null): Promise<Found> {
    const stretch: KeyStretch = { after: stretchText(after), until: stretchText(until) }
    const targetSum = await this.#comparer.target.checksum(stretch)
    if (!entries.some(({ isLost }) => isLost) && sumOf(entries).equals(targetSum)) return { suspects: [] }
    const middle = entries.length >> 1
    const cut = entries[middle - 1]?.key ?? null
    if (entries.length <= leafRows || !isWholeKey(cut)) return this.#leaf(entries, stretch, until)
    const before = await this.#suspectsIn(entries.slice(0, middle), after, cut)
    if (before.until !== undefined) return before
    const behind = await this.#suspectsIn(entries.slice(middle), cut, until)
    return { ...behind, suspects: [...before.suspects, ...behind.suspects] }
  }

  /** Row by row, as far as one answer of Postgres goes. */
  async #leaf(entries: readonly Entry[], stretch: KeyStretch, until: Key | null): Promise<Found> {
    const { reader, target } = this.#comparer
    const present = await target.hashes(stretch, mostRows)
    const isCut = present.length === mostRows
    const end = isCut ? present.at(-1)!.key.map(BigInt) : until
    const left = new Map<string, TargetHash>()
    const suspects: RowName[] = []
    for (const row of present) {
      if (left.has(idOf(row.key))) suspects.push({ key: reader.keyOf(row.key), texts: row.key })
      left.set(idOf(row.key), row)
    }
    for (const { key, hash, isLost } of entries) {
      if (isCut && isBeyond(key, end as readonly bigint[])) continue
      const texts = reader.textsOf(key)
      const partner = texts && left.get(idOf(texts))
      // A rejected row that is in Postgres nevertheless stays in `left`, and so is looked at.
      if (hash && texts) left.delete(idOf(texts))
      if (isLost || (hash && !isSame(hash, partner?.hash))) suspects.push({ key, texts })
    }
    for (const { key } of left.values()) suspects.push({ key: reader.keyOf(key), texts: key })
    return isCut ? { suspects, until: end } : { suspects }
  }

  async #fileStep(after: Key | null): Promise<WalkStep> {
    const { walk, target } = this.#comparer
    const nameOf = (row: ExpectedRow) => this.#comparer.nameOf(row)
    const started = start()
    const { rows, done } = await walk.next(after, this.#limit)
    this.#adapt(rows.length, started)
    const keys = rows.flatMap((row) => (row.rejected ? [] : [nameOf(row).texts ?? []])).filter(({ length }) => length > 0)
    const present = new Map<string, TargetHash>()
    for (const found of await target.hashesAt(keys)) present.set(idOf(found.key), found)
    const isAlike = (row: ExpectedRow, texts: readonly string[]) => isSame(hashOf(row), present.get(idOf(texts))?.hash)
    const suspects = rows.flatMap((row) => {
      const name = nameOf(row)
      return row.rejected || (name.texts && isAlike(row, name.texts)) ? [] : [name]
    })
    const last = rows.at(-1)?.key ?? null
    const cursor: WalkCursor = done || !last ? { phase: 'target', after: null } : { phase: 'file', after: packKey(last) }
    return { cursor, rows: rows.length, suspects }
  }

  async #targetStep(after: readonly string[] | null): Promise<WalkStep> {
    const limit = Math.max(this.#limit, 200)
    const keys = await this.#comparer.target.keysAfter(after, limit)
    await this.#comparer.rejects.refresh()
    const started = start()
    const suspects = await this.#comparer.unfounded(keys)
    this.#adapt(keys.length, started)
    const last = keys.at(-1)
    return { cursor: keys.length < limit || !last ? null : { phase: 'target', after: last }, rows: 0, suspects }
  }
}
