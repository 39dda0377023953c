/** Our objects on the captured tables, as they stand in the schema at one moment of a transaction. */
import type { SqliteDatabase, SqliteSchema, SqliteTable } from '../sqlite.js'
import { foldAscii, quoteSqliteName } from '../tokenize.js'
import type { CaptureTable, FenceState } from './capture.js'
import { captureTriggers } from './capture-triggers.js'
import { fenceTriggers } from './fence-triggers.js'
import { imageTable } from './row-image.js'
import type { TriggerText } from './trigger-text.js'

/** A captured table as the schema has it now. */
export interface Place {
  readonly schema: SqliteSchema
  readonly table: SqliteTable
  readonly capture: CaptureTable
}

/** Where a captured table stands; undefined where it does not any more. */
export const placeOf = (schema: SqliteSchema, capture: CaptureTable): Place | undefined => {
  const table = schema.tables.find(({ name }) => foldAscii(name) === foldAscii(capture.name))
  return table && { schema, table, capture }
}

const captureObjects = ({ schema, table, capture }: Place): readonly TriggerText[] => {
  const triggers = captureTriggers(schema, table, capture)
  const image = imageTable(table, capture, triggers)
  return image ? [image, ...triggers] : triggers
}

interface SchemaRow {
  readonly type: string
  readonly name: string
  readonly tbl_name: string
  readonly sql: string
}

const numberIn = (name: string): number => Number(/^_tidemark_(?:image_)?(\d+)/.exec(name)?.[1] ?? 0)

export class OwnObjects {
  readonly #db: SqliteDatabase
  readonly #rows = new Map<number, SchemaRow[]>()
  readonly #tables: ReadonlySet<string>

  constructor(db: SqliteDatabase) {
    this.#db = db
    const rows = db.prepare<[], SchemaRow>('SELECT type, name, tbl_name, sql FROM sqlite_schema').all()
    this.#tables = new Set(rows.filter(({ type }) => type === 'table').map(({ name }) => foldAscii(name)))
    for (const row of rows) {
      const id = numberIn(row.name)
      if (id > 0) this.#rows.set(id, [...this.#of({ id }), row])
    }
  }

  #of({ id }: Pick<CaptureTable, 'id'>): readonly SchemaRow[] {
    return this.#rows.get(id) ?? []
  }

  #stands({ table, capture }: Place, { name, sql }: TriggerText): boolean {
    const row = this.#of(capture).find((found) => found.name === name)
    return row !== undefined && row.sql === sql && (row.type === 'table' || row.tbl_name === table.name)
  }

  /** True where everything that this state of the fence asks for stands on this very table, in our words, and nothing outdated. */
  isArmed(place: Place, fence: FenceState): boolean {
    const [capture, refuse] = [captureObjects(place), fenceTriggers(place.capture)]
    const wanted = [...(fence === 'cut' ? [] : capture), ...(fence === 'open' ? [] : refuse)]
    // A step towards another state does no harm; it may have been left half done.
    const known = new Set([...capture, ...refuse].filter((text) => this.#stands(place, text)).map(({ name }) => name))
    return this.#of(place.capture).every(({ name }) => known.has(name)) && wanted.every(({ name }) => known.has(name))
  }

  #drop({ id }: Pick<CaptureTable, 'id'>, isKept: (row: SchemaRow) => boolean): void {
    for (const row of this.#of({ id })) {
      if (!isKept(row)) this.#db.exec(`DROP ${row.type === 'table' ? 'TABLE' : 'TRIGGER'} ${quoteSqliteName(row.name)}`)
    }
    this.#rows.set(id, this.#of({ id }).filter(isKept))
  }

  #make({ capture, table }: Pick<Place, 'capture' | 'table'>, texts: readonly TriggerText[]): void {
    const standing = new Set(this.#of(capture).map(({ name }) => name))
    const missing = texts.filter(({ name }) => !standing.has(name))
    for (const { sql } of missing) this.#db.exec(sql)
    const made = missing.map((text) => ({
      ...text,
      type: text.sql.startsWith('CREATE TABLE') ? 'table' : 'trigger',
      tbl_name: table.name,
    }))
    this.#rows.set(capture.id, [...this.#of(capture), ...made])
  }

  /** Captures the table as it is; whatever is outdated goes. The fence stays as it is. */
  capture(place: Place): void {
    const texts = captureObjects(place)
    const fence = fenceTriggers(place.capture)
    const isCurrent = texts.every((text) => this.#stands(place, text)) && this.isArmed(place, 'open')
    if (isCurrent) return
    this.#drop(place.capture, ({ name }) => fence.some((text) => text.name === name && this.#stands(place, text)))
    this.#make(place, texts)
  }

  /** Refuses writes to the table, if it is there. */
  refuse(capture: CaptureTable): void {
    if (!this.#tables.has(foldAscii(capture.name))) return
    const { id, name } = capture
    const texts = fenceTriggers(capture)
    const isForeign = (row: SchemaRow) =>
      texts.some((text) => text.name === row.name && foldAscii(row.tbl_name) !== foldAscii(name))
    this.#drop({ id }, (row) => !isForeign(row))
    this.#make({ capture, table: { name } as SqliteTable }, texts)
  }

  /** Takes the fence away. */
  admit(capture: CaptureTable): void {
    const names = new Set(fenceTriggers(capture).map(({ name }) => name))
    this.#drop(capture, ({ name }) => !names.has(name))
  }

  /** Leaves only the fence. */
  release(capture: CaptureTable): void {
    const names = new Set(fenceTriggers(capture).map(({ name }) => name))
    this.#drop(capture, ({ name }) => names.has(name))
  }

  /** True where something of ours is left of a table. */
  has(capture: Pick<CaptureTable, 'id'>): boolean {
    return this.#of(capture).length > 0
  }

  /** Takes everything off a table. */
  clear(capture: Pick<CaptureTable, 'id'>): void {
    this.#drop(capture, () => false)
  }
}
