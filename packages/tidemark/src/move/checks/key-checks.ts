/** Keys that the log names: each is compared once its change was applied, and looked at again where it differs. */
import type { Key } from '../row-keys.js'
import type { LoggedKey } from './change-log.js'
import type { CheckParts } from './check-parts.js'
import type { CheckSession } from './check-session.js'
import type { CheckPoint } from './checks.js'
import { countRows, type DifferingRows, type Doubt, withoutTable } from './doubts.js'
import type { TableCheck } from './table-check.js'
import type { Differing, RowName } from './table-comparer.js'

const keysAtOnce = 1000
/** How many batches of keys may wait for their second look: of a mirror that takes a second, in which others come. */
const doubtsAtOnce = { follow: 1, mirror: 64 } as const

interface KeyDoubt {
  readonly doubt: Doubt
  /** Its rows changed behind this entry of the log. */
  readonly after: bigint
}

export class KeyChecks {
  readonly #parts: CheckParts
  /** Oldest first. */
  #waiting: KeyDoubt[] = []
  /** Keys up to here were looked at once. */
  #lookedSeq: bigint

  constructor(parts: CheckParts, checkedSeq: bigint) {
    this.#parts = parts
    this.#lookedSeq = checkedSeq
  }

  /** Keys up to here are alike, or on record. */
  get checkedSeq(): bigint {
    return this.#waiting[0]?.after ?? this.#lookedSeq
  }

  /** Rows that wait for their second look. */
  get doubtful(): number {
    return this.#waiting.reduce((sum, { doubt }) => sum + countRows(doubt.rows), 0)
  }

  /** One batch, and the doubts that can be judged by now. `isFinal`: nothing is in flight any more. False where nothing was done. */
  async check(session: CheckSession, point: CheckPoint, endMs: number, isFinal = false): Promise<boolean> {
    const { direction, doubts, work } = this.#parts
    const judged = await this.#judge(session, point, endMs, isFinal)
    if (this.#waiting.length >= doubtsAtOnce[direction] || this.#lookedSeq >= point.appliedSeq) return judged > 0
    const { keys, reached } = session.log.next(this.#lookedSeq, point.appliedSeq, keysAtOnce)
    const found = await this.#compare(session, keys)
    const doubt = doubts.raise(session, found, point)
    if (doubt) this.#waiting.push({ doubt, after: this.#lookedSeq })
    this.#lookedSeq = reached
    work.keys += keys.length
    return true
  }

  /** What is doubted of a table means nothing any more. */
  forget(table: TableCheck): void {
    this.#waiting = this.#waiting.map(({ doubt, after }) => ({ after, doubt: withoutTable(doubt, table) }))
  }

  /** Oldest first, up to the first that cannot be judged yet; how many were. */
  async #judge(session: CheckSession, point: CheckPoint, endMs: number, isFinal: boolean): Promise<number> {
    const { doubts, findings, clock } = this.#parts
    const waiting = this.#waiting.map(({ doubt }) => doubt)
    if (!isFinal) await doubts.note(session, waiting, point)
    let judged = 0
    for (const doubt of waiting) {
      if (judged > 0 && clock.monotonicMs() >= endMs) break
      const found = isFinal ? await doubts.judgeNow(session, doubt) : await doubts.judge(session, doubt, point)
      if (!found) break
      findings.addAll(found, new Date(clock.now()))
      this.#waiting.shift()
      judged++
    }
    return judged
  }

  async #compare(session: CheckSession, keys: readonly LoggedKey[]): Promise<DifferingRows> {
    const byTable = new Map<TableCheck, Key[]>()
    for (const { table: name, key } of keys) {
      const table = this.#parts.tables.get(name)!
      if (!key) this.#taint(table)
      else byTable.set(table, [...(byTable.get(table) ?? []), key])
    }
    const found = new Map<TableCheck, readonly Differing[]>()
    for (const [table, some] of byTable) {
      const comparer = table.comparer(session)
      const names = new Map<string, RowName>()
      for (const key of some) {
        const texts = comparer.reader.textsOf(key)
        names.set(JSON.stringify(texts ?? key.map(String)), { key, texts })
      }
      found.set(table, await comparer.compare([...names.values()]))
    }
    return found
  }

  /** A row changed that cannot be found on the other side: only a look at the whole table tells. */
  #taint(table: TableCheck): void {
    if (table.dirty) return
    table.dirty = true
    this.#parts.changed.add(table)
  }
}
