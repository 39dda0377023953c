/** Applies the changes of one table to the file. What the file does not take is noted, and everything else goes on. */
import type { Row, RowChange } from '../../feed/feed.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { printKey } from '../row-keys.js'
import type { BoundRelation, Texts } from './bind-relation.js'
import type { Differences } from './differences.js'
import { FileRows, type FoundRow, type Refusal, type Values } from './file-rows.js'
import { Limbo, type WaitingRow } from './limbo.js'
import type { MirrorColumn, MirrorTable } from './mirror-table.js'
import type { Narrowed } from './narrowed.js'
import type { Statements } from './statements.js'

const isComplete = (texts: Texts): texts is readonly (string | null)[] => !texts.includes(undefined)

const stayedBehind = 'the file holds a row of this key that stayed behind when the others were copied'

/** Where an applier says what the file does not have as Postgres does. */
export interface Notes {
  readonly differences: Differences
  readonly narrowed: Narrowed
  /** Printed keys of the rows of the file that were left out of the copy. */
  readonly leftOut: ReadonlySet<string>
}

export class TableApplier {
  readonly table: MirrorTable
  readonly rows: FileRows
  readonly #limbo: Limbo
  readonly #differences: Differences
  readonly #narrowed: Narrowed
  /** Printed keys of the rows of the file that were left out of the copy: they are not the mirror's. */
  readonly #leftOut: ReadonlySet<string>

  constructor(db: SqliteDatabase, table: MirrorTable, statements: Statements, { differences, narrowed, leftOut }: Notes) {
    this.table = table
    this.rows = new FileRows(db, table, statements)
    this.#limbo = new Limbo(db, this.rows, statements)
    this.#differences = differences
    this.#narrowed = narrowed
    this.#leftOut = leftOut
  }

  get #source(): string {
    return this.table.plan.source
  }

  apply(change: RowChange, bound: BoundRelation): void {
    if (change.kind === 'insert') {
      this.#insert(bound.texts(change.new))
      return
    }
    if (change.kind === 'delete') {
      this.#delete(bound.texts(change.old), bound)
      return
    }
    this.#update(change.old, change.new, bound)
  }

  /** The row of the file that a whole row of Postgres stands for; none where there is none, or only one that was left out of the copy. */
  find(texts: readonly (string | null)[]): FoundRow | undefined {
    return this.#find(texts)
  }

  /** Whether the mirror may touch a row: not one that was left out of the copy. */
  isOurs(row: FoundRow): boolean {
    return !this.#isLeftOut(row)
  }

  /** Makes the file have a whole row of Postgres, in the place of one where that is known. */
  put(texts: readonly (string | null)[], row: FoundRow | undefined): 'equal' | 'updated' | 'inserted' {
    if (!row) {
      this.#insert(texts)
      return 'inserted'
    }
    const differing = this.rows.differing(row, this.table.columns, texts)
    const { notes } = this.rows.values(this.table.columns, texts)
    if (differing.length > 0) this.#write(row, differing, texts)
    else if (notes.length > 0) this.#note(notes, row)
    return differing.length > 0 ? 'updated' : 'equal'
  }

  /** Every row of Postgres is gone; those that never were there stay in the file. */
  truncate(): void {
    this.#limbo.clear()
    this.rows.deleteAll((row) => !this.#isLeftOut(row))
    this.#differences.clearTable(this.#source)
  }

  /** The transaction of Postgres is complete: every row has its place now, or has none. */
  settle(): void {
    if (this.#limbo.isEmpty) return
    this.#limbo.putBack((waiting, refusal) => this.#refuseWaiting(waiting, refusal))
  }

  /** The transaction of the file was rolled back. */
  forget(): void {
    this.#limbo.forget()
    this.rows.forget()
  }

  #keyOf(texts: Texts): Texts {
    const { key, columns } = this.table
    return key.length > 0 ? key.map((column) => texts[columns.indexOf(column)]) : texts
  }

  /** The key as reports print it, of a row that Postgres tells; undefined where the file's key is not among its columns. */
  #printTexts(texts: Texts): string {
    const { plan, columns } = this.table
    const own = plan.reportKey.map((name) => columns.findIndex(({ source }) => source === name))
    if (own.length > 0 && own.every((i) => i >= 0 && texts[i] !== undefined)) {
      const named = own.map((i) => columns[i]!)
      return printKey(
        plan.reportKey,
        this.rows.values(
          named,
          own.map((i) => texts[i]!),
        ).bound,
      )
    }
    const shown = this.table.key.length > 0 ? this.table.key : columns
    const values = shown.map((column) => texts[columns.indexOf(column)] ?? null)
    return printKey(
      shown.map(({ target }) => target),
      values,
    ).slice(0, 300)
  }

  #isLeftOut(row: FoundRow): boolean {
    return this.#leftOut.size > 0 && this.#leftOut.has(this.rows.print(row))
  }

  /** The row of the file, where the mirror may touch it. */
  #find(texts: Texts): FoundRow | undefined {
    const key = this.#keyOf(texts)
    const found = this.table.key.length > 0 && isComplete(key) ? this.rows.byKey(key) : this.rows.byValues(texts)
    return found.find((row) => !this.#isLeftOut(row))
  }

  /** A row that waits for its place and is meant by an old row: the only one of its key, or the one of these very values. */
  #findWaiting(texts: Texts, isFull: boolean): WaitingRow | undefined {
    const waiting = this.#limbo.withKey(this.#keyOf(texts))
    if (waiting.length === 0 || !isFull) return waiting[0]
    return waiting.find((row) =>
      texts.every((text, i) => text === undefined || row.texts[i] === undefined || row.texts[i] === text),
    )
  }

  #insert(texts: Texts): void {
    const present = texts.flatMap((text, i) => (text === undefined ? [] : [i]))
    const columns = this.#columnsOf(present)
    const { bound, notes } = this.rows.values(
      columns,
      present.map((i) => texts[i]!),
    )
    const refusal = this.rows.insert(columns, bound)
    if (refusal?.kind === 'unique') {
      this.#limbo.add(columns, bound, this.#keyOf(texts), texts)
      return
    }
    if (refusal) {
      this.#differences.whole(this.#source, this.#printTexts(texts), 'missing', refusal.reason)
      return
    }
    if (!this.#differences.isEmpty) this.#differences.clear(this.#source, this.#printTexts(texts))
    this.#note(notes)
    for (const source of this.table.untold)
      this.#differences.column(
        this.#source,
        this.rows.print(this.rows.last),
        source,
        null,
        'Postgres computes it, and its feed does not tell',
      )
  }

  /** Notes what the row that was just written does not hold quite as Postgres does. */
  #note(notes: Values['notes'], row?: FoundRow): void {
    if (notes.length === 0) return
    const written = row ?? this.rows.last
    const key = () => this.rows.print(written)
    for (const { column, target, reason, isNarrowed } of notes) {
      if (isNarrowed) this.#narrowed.add(this.#source, column.source, key, target, reason)
      else this.#differences.column(this.#source, key(), column.source, target, reason)
    }
  }

  /** The columns that an update changed, as far as can be told; undefined where the old row does not tell. */
  #changed(old: Texts | null, texts: Texts, isFull: boolean): readonly number[] {
    const known = texts.flatMap((text, i) => (text === undefined ? [] : [i]))
    return isFull && old ? known.filter((i) => texts[i] !== old[i]) : known
  }

  #update(oldRow: Row | null, newRow: Row, bound: BoundRelation): void {
    const texts = bound.texts(newRow)
    const old = oldRow && bound.texts(oldRow)
    // Of a narrow old row only the key is known; of none, the key is that of the new one.
    const before = old ?? texts
    const changed = this.#changed(old, texts, bound.isFull)
    const waiting = this.#findWaiting(before, bound.isFull)
    if (waiting) {
      this.#changeWaiting(waiting, changed, texts)
      return
    }
    const row = this.#find(bound.isFull || !old ? before : this.#narrow(old))
    if (!row) {
      this.#updateMissing(old, texts)
      return
    }
    const wanted = bound.isFull ? changed : this.#unlike(row, changed, texts)
    this.#write(
      row,
      wanted,
      texts.map((text, i) => (text === undefined ? old?.[i] : text)),
    )
  }

  /** Of an old row that only tells its key, the key. */
  #narrow(old: Texts): Texts {
    const { columns, key } = this.table
    return old.map((text, i) => (key.includes(columns[i]!) ? text : undefined))
  }

  #columnsOf(indexes: readonly number[]): readonly MirrorColumn[] {
    return indexes.map((i) => this.table.columns[i]!)
  }

  #changeWaiting(waiting: WaitingRow, changed: readonly number[], texts: Texts): void {
    const columns = this.#columnsOf(changed)
    const { bound } = this.rows.values(
      columns,
      changed.map((i) => texts[i]!),
    )
    const whole = texts.map((text, i) => (text === undefined ? waiting.texts[i] : text))
    this.#limbo.change(waiting, columns, bound, this.#keyOf(whole), whole)
  }

  /** A row that the file refused earlier, or lost: it gets another chance whole. */
  #updateMissing(old: Texts | null, texts: Texts): void {
    const whole = texts.map((text, i) => (text === undefined ? old?.[i] : text))
    if (old) this.#differences.clear(this.#source, this.#printTexts(old))
    if (isComplete(whole)) {
      this.#insert(whole)
      return
    }
    const reason = 'the file does not have the row, and the change tells only a part of it'
    this.#differences.whole(this.#source, this.#printTexts(whole), 'missing', reason)
  }

  /** Writes some columns of a row; where another row is in the way, it waits outside for that to go. */
  #write(row: FoundRow, places: readonly number[], texts: Texts, mayWait = true): void {
    const columns = this.#columnsOf(places)
    const { bound, notes } = this.rows.values(
      columns,
      places.map((i) => texts[i]!),
    )
    const known = this.#differences.isEmpty ? undefined : this.rows.print(row)
    const refusal = this.rows.update(row, columns, bound)
    if (refusal?.kind === 'unique' && mayWait) {
      this.#limbo.takeOut(row, columns, bound, this.#keyOf(texts), texts)
      return
    }
    if (refusal) {
      this.#writeOneByOne(row, places, texts)
      return
    }
    if (known !== undefined && columns.length > 0) {
      this.#differences.clear(
        this.#source,
        known,
        columns.map(({ source }) => source),
      )
      this.#differences.rename(this.#source, known, this.rows.print(this.rows.last))
    }
    this.#note(notes)
  }

  /** Where Postgres does not tell which columns changed, those whose value in the file cannot be had back are looked at first. */
  #unlike(row: FoundRow, changed: readonly number[], texts: Texts): readonly number[] {
    const doubtful = changed.filter((i) => !this.table.columns[i]!.isExact)
    if (doubtful.length === 0) return changed
    const differing = this.rows.differing(
      row,
      this.#columnsOf(doubtful),
      doubtful.map((i) => texts[i]!),
    )
    const unlike = new Set(differing.map((i) => doubtful[i]!))
    return changed.filter((i) => this.table.columns[i]!.isExact || unlike.has(i))
  }

  /** A rule of the file stands against one of several values: the others are written all the same. */
  #writeOneByOne(row: FoundRow, places: readonly number[], texts: Texts): void {
    let [now, key] = [row, this.rows.print(row)]
    for (const place of places) {
      const column = this.table.columns[place]!
      const target = texts[place] ?? null
      const { bound, notes } = this.rows.values([column], [target])
      const refusal = this.rows.update(now, [column], bound)
      if (refusal) {
        this.#differences.column(this.#source, key, column.source, target, refusal.reason)
        continue
      }
      now = this.rows.last
      this.#differences.clear(this.#source, key, [column.source])
      this.#differences.rename(this.#source, key, this.rows.print(now))
      key = this.rows.print(now)
      this.#note(notes)
    }
  }

  #delete(texts: Texts, bound: BoundRelation): void {
    const old = bound.isFull ? texts : this.#narrow(texts)
    const waiting = this.#findWaiting(old, bound.isFull)
    if (waiting) {
      this.#limbo.remove(waiting)
      return
    }
    const row = this.#find(old)
    if (!this.#differences.isEmpty) {
      this.#differences.clear(this.#source, this.#printTexts(old))
      if (row) this.#differences.clear(this.#source, this.rows.print(row))
    }
    if (row) this.rows.delete(row)
  }

  /** At the end of its transaction a row found no place: another row has its unique value in the file, and not in Postgres. */
  #refuseWaiting(waiting: WaitingRow, refusal: Refusal): void {
    const key = this.#printTexts(waiting.texts)
    if (!waiting.wasThere) {
      this.#refuseNew(waiting, refusal)
      return
    }
    if (this.#limbo.putBackAsBefore(waiting)) {
      this.#differences.whole(this.#source, key, 'missing', refusal.reason)
      return
    }
    const places = waiting.changed.map((source) => this.table.columns.findIndex((column) => column.source === source))
    this.#writeOneByOne(this.rows.last, places, waiting.texts)
  }

  /** A new row whose key is in the file already becomes that row, unless it is one that was left out of the copy. */
  #refuseNew(waiting: WaitingRow, refusal: Refusal): void {
    const { columns, key: keyColumns } = this.table
    const key = this.#keyOf(waiting.texts)
    const present = keyColumns.length > 0 && isComplete(key) ? this.rows.byKey(key) : []
    const row = present.find((each) => !this.#isLeftOut(each))
    const reason = row === undefined && present.length > 0 ? stayedBehind : refusal.reason
    if (!row || !isComplete(waiting.texts)) {
      this.#differences.whole(this.#source, this.#printTexts(waiting.texts), 'missing', reason)
      return
    }
    this.#write(row, this.rows.differing(row, columns, waiting.texts), waiting.texts, false)
  }
}
