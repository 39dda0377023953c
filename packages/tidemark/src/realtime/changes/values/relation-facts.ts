import { type Relation, tableName } from '../../../feed/feed.js'
import type { ReadableColumns } from '../visibility-port.js'
import type { TableCatalogue } from './table-catalogue.js'
import type { TypeCatalogue, TypeFacts } from './type-catalogue.js'
import { isForeign, type ToJson, valueJson } from './value-json.js'

export interface ColumnOfRelation {
  readonly name: string
  readonly type: TypeFacts | undefined
  readonly toJson: ToJson
  /** `"name":` */
  readonly prefix: string
}

/** The columns that somebody asked to be told, each selection once in a process. */
export interface Selection {
  readonly columns: ReadonlySet<string>
}

/** What a role, a selection and row security leave of a relation's columns. */
export interface View {
  /** Indexes of the relation's columns that are told of a row as it is. */
  readonly now: readonly number[]
  /** Of a row as it was. */
  readonly before: readonly number[]
  /** Those of the key alone. */
  readonly key: readonly number[]
  readonly columnsJson: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
}

/** A relation of the feed with what the catalogue says of it. */
export class RelationFacts {
  readonly relation: Relation
  /** `schema.table`. */
  readonly name: string
  readonly columns: readonly ColumnOfRelation[]
  readonly positions: ReadonlyMap<string, number>
  /** Indexes of the key: the primary one, or what identifies rows. */
  readonly key: readonly number[]
  /** Indexes of the columns whose JSON an extension makes. */
  readonly foreign: readonly number[]
  readonly #views = new WeakMap<
    ReadonlySet<string>,
    Map<Selection | undefined, [open: View | undefined, secured: View | undefined]>
  >()

  constructor(relation: Relation, columns: readonly ColumnOfRelation[], primaryKey: readonly string[]) {
    this.relation = relation
    this.name = tableName(relation)
    this.columns = columns
    this.positions = new Map(columns.map(({ name }, index) => [name, index]))
    this.foreign = columns.flatMap(({ type }, index) => (type && isForeign(type) ? [index] : []))
    const primary = primaryKey.map((name) => this.positions.get(name) ?? -1)
    const identity = relation.identity === 'full' ? [] : relation.columns.flatMap(({ isKey }, index) => (isKey ? [index] : []))
    this.key = primary.length > 0 && !primary.includes(-1) ? primary : identity
  }

  /** True where old rows are whole. */
  get isFull(): boolean {
    return this.relation.identity === 'full'
  }

  /** The same object for the same question, so that what is made of it can be kept. */
  view({ columns, rowSecurity }: ReadableColumns, selection: Selection | undefined): View {
    let bySelection = this.#views.get(columns)
    if (!bySelection) {
      bySelection = new Map()
      this.#views.set(columns, bySelection)
    }
    let pair = bySelection.get(selection)
    if (!pair) {
      pair = [undefined, undefined]
      bySelection.set(selection, pair)
    }
    const index = rowSecurity ? 1 : 0
    const made = pair[index] ?? this.#makeView(columns, rowSecurity, selection)
    pair[index] = made
    return made
  }

  #makeView(readable: ReadonlySet<string>, rowSecurity: boolean, selection: Selection | undefined): View {
    const now = this.columns.flatMap(({ name }, index) => {
      const wanted = selection === undefined || selection.columns.has(name) || this.key.includes(index)
      return wanted && readable.has(name) ? [index] : []
    })
    const key = now.filter((index) => this.key.includes(index))
    const columns = now.map((index) => {
      const { name, type } = this.columns[index] as ColumnOfRelation
      return { name, type: type?.name ?? 'text' }
    })
    return { now, before: rowSecurity ? key : now, key, columns, columnsJson: JSON.stringify(columns) }
  }
}

/** Looks relations up, each once. Raises TM_POSTGRES_*. */
export type FindFacts = (relation: Relation) => RelationFacts | Promise<RelationFacts>

/** Facts of relations, by the catalogues of one database. */
export const createFindFacts = (tables: TableCatalogue, types: TypeCatalogue): FindFacts => {
  const known = new WeakMap<Relation, RelationFacts>()
  const find = async (relation: Relation): Promise<RelationFacts> => {
    // It is a new object where its structure has changed.
    tables.forget(relation.schema, relation.table)
    const [table] = await Promise.all([
      tables.find(relation.schema, relation.table),
      types.load(relation.columns.map(({ typeOid }) => typeOid).filter((oid) => oid > 0)),
    ])
    const columns = relation.columns.map(({ name, typeOid }): ColumnOfRelation => {
      const type = types.get(typeOid) ?? table?.columns.get(name)?.type
      return { name, type, toJson: type ? valueJson(type) : JSON.stringify, prefix: `${JSON.stringify(name)}:` }
    })
    const facts = new RelationFacts(relation, columns, table?.key ?? [])
    known.set(relation, facts)
    return facts
  }
  return (relation) => known.get(relation) ?? find(relation)
}
