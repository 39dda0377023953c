/** Applies pieces of the feed to the file, within a write transaction of the caller's. */
import { TidemarkError } from '../../errors.js'
import { type Change, isRowChange, type Relation, type TransactionPiece, tableName } from '../../feed/feed.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import type { IdMap } from '../invert/id-map.js'
import { type BoundRelation, bindRelation } from './bind-relation.js'
import type { TableApplier } from './table-applier.js'

export interface PieceApplierOptions {
  readonly path: string
  readonly db: SqliteDatabase
  readonly ids: IdMap
  /** By `schema.table` of Postgres. */
  readonly tables: ReadonlyMap<string, TableApplier>
  readonly byOid: ReadonlyMap<number, TableApplier>
  /** The feed has the moved tables and no others. */
  readonly isOwnFeed: boolean
  /** Whether a table was compared and put right at a moment that has this transaction in it. */
  readonly isIncluded: (source: string, xid: bigint) => boolean
  /** A change of the table as a whole that tells no rows. */
  readonly onUntold: (source: string) => void
}

export class PieceApplier {
  readonly #options: PieceApplierOptions
  readonly #bound = new WeakMap<Relation, BoundRelation>()

  constructor(options: PieceApplierOptions) {
    this.#options = options
  }

  /** The table that a change belongs to; none where it was not moved. A table is known by its oid under any name. */
  #applierOf(relation: Relation): TableApplier | undefined {
    const { byOid, tables, isOwnFeed, path } = this.#options
    const applier = byOid.get(relation.oid) ?? tables.get(tableName(relation))
    if (applier || !isOwnFeed) return applier
    const reason = 'no such table was moved'
    throw new TidemarkError('TM_MOVE_MIRROR_SCHEMA', { path, table: tableName(relation), reason })
  }

  #bind(relation: Relation, applier: TableApplier): BoundRelation {
    const known = this.#bound.get(relation)
    if (known) return known
    const bound = bindRelation(this.#options.path, applier.table, relation)
    this.#bound.set(relation, bound)
    return bound
  }

  /** Reads the identifiers behind the uuids of a piece; to be called before {@link apply}. */
  async learn({ changes, xid }: TransactionPiece): Promise<void> {
    const wanted = new Map<string, Set<string>>()
    for (const change of changes) {
      if (!isRowChange(change)) continue
      const applier = this.#applierOf(change.relation)
      if (!applier?.table.hasMappedIds || this.#options.isIncluded(applier.table.plan.source, xid)) continue
      const bound = this.#bind(change.relation, applier)
      const { columns, inverter } = applier.table
      const rows = [change.old, change.new].flatMap((row) => (row ? [bound.texts(row)] : []))
      for (const [namespace, uuids] of inverter.mapped(columns, rows)) {
        const known = wanted.get(namespace) ?? new Set()
        for (const uuid of uuids) known.add(uuid)
        wanted.set(namespace, known)
      }
    }
    if (wanted.size > 0) await this.#options.ids.learn(wanted)
  }

  /** Answers how many changes were of moved tables. */
  apply({ changes, xid, last }: TransactionPiece): number {
    let applied = 0
    for (const change of changes) if (this.#applyChange(change, xid)) applied += 1
    if (last) for (const applier of this.#options.tables.values()) applier.settle()
    return applied
  }

  #applyChange(change: Change, xid: bigint): boolean {
    const applier = this.#applierOf(change.relation)
    if (!applier) return false
    const { source } = applier.table.plan
    if (this.#options.isIncluded(source, xid)) return true
    if (isRowChange(change)) applier.apply(change, this.#bind(change.relation, applier))
    else if (change.kind === 'truncate') applier.truncate()
    else this.#options.onUntold(source)
    return true
  }

  /** To be called before the transaction of the file is committed. */
  writeLog(): void {
    for (const { rows } of this.#options.tables.values()) rows.writeLog()
  }

  /** The transaction of the file was rolled back. */
  forget(): void {
    for (const applier of this.#options.tables.values()) applier.forget()
  }
}
