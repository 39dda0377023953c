/** Small schemas with everything in them that a capture has to see through. */
import type { CaptureTable, LogKey } from '../capture.js'
import type { Random } from './random.js'

export interface RandomTable extends CaptureTable {
  /** Columns that may be written. */
  readonly columns: readonly string[]
  readonly allColumns: readonly string[]
  readonly primaryKey: readonly string[]
  /** Column lists of whole unique constraints, which an upsert may name. */
  readonly targets: readonly (readonly string[])[]
  readonly rowidWords: readonly string[]
}

export interface RandomSchema {
  readonly sql: readonly string[]
  /** Of the connection that writes. */
  readonly pragmas: readonly string[]
  readonly tables: readonly RandomTable[]
}

const types = ['INTEGER', 'TEXT', 'REAL', 'NUMERIC', '', 'BLOB', 'INT', 'VARCHAR(9)']
const strictTypes = ['INTEGER', 'TEXT', 'REAL', 'ANY', 'BLOB', 'INT']
const collations = ['BINARY', 'NOCASE', 'RTRIM']
const conflicts = ['', '', ' ON CONFLICT REPLACE', ' ON CONFLICT IGNORE', ' ON CONFLICT FAIL', ' ON CONFLICT ROLLBACK']
const expressions = [
  (c: string) => `lower(${c})`,
  (c: string) => `${c} > '5'`,
  (c: string) => `coalesce(${c}, 'x')`,
  (c: string) => `${c} || 'z'`,
  (c: string) => `typeof(${c})`,
  (c: string) => `CASE WHEN ${c} = '1' THEN 1 ELSE ${c} END`,
  (c: string) => `CAST(${c} AS TEXT) COLLATE NOCASE`,
  (c: string) => `(${c} IN (1, 'a')) || ifnull(${c}, 'Ä')`,
]
const predicates = [
  (c: string) => `${c} > '1'`,
  (c: string) => `${c} IS NOT NULL`,
  (c: string) => `${c} <> 'a' -- why`,
  (c: string) => `${c} IN (1, 2, 'b')`,
  (c: string) => `typeof(${c}) = 'text'`,
]
const columnPool = ['a', 'b', 'C', 'order', 'x y', 'end', 'ü']

const quote = (name: string): string => `"${name}"`

interface Draft {
  readonly name: string
  readonly strict: boolean
  readonly withoutRowid: boolean
  /** Definitions of columns in order. */
  readonly definitions: string[]
  readonly columns: string[]
  readonly generated: string[]
  readonly constraints: string[]
  readonly targets: string[][]
  primaryKey: string[]
  isAlias: boolean
}

const collate = (random: Random): string => (random.oneIn(3) ? ` COLLATE ${random.pick(collations)}` : '')

const addColumns = (random: Random, draft: Draft): void => {
  const names = random.some(columnPool).slice(0, 4)
  for (const name of names) {
    const type = random.pick(draft.strict ? strictTypes : types)
    const notNull = random.oneIn(5) ? ` NOT NULL DEFAULT ${random.pick(["'a'", '1', "('a' || '')", 'word', '-1'])}` : ''
    const fits = !draft.strict || type === 'ANY' || notNull === ''
    draft.definitions.push(`${quote(name)} ${type}${fits ? notNull : ''}${collate(random)}`)
    draft.columns.push(name)
  }
  if (random.oneIn(3)) {
    const expression = random.pick(expressions)(quote(draft.columns[0]!))
    const type = draft.strict ? 'ANY' : random.pick(types)
    draft.definitions.push(`g ${type}${collate(random)} AS (${expression}) ${random.pick(['VIRTUAL', 'STORED'])}`)
    draft.generated.push('g')
  }
}

const addKey = (random: Random, draft: Draft): void => {
  const kind = random.below(draft.withoutRowid ? 2 : 5)
  if (kind === 0) {
    const columns = random.some(draft.columns).slice(0, 2)
    const parts = columns.map((name) => `${quote(name)}${collate(random)}${random.oneIn(4) ? ' DESC' : ''}`)
    draft.constraints.push(`PRIMARY KEY (${parts.join(', ')})${random.pick(conflicts)}`)
    draft.primaryKey = [...columns]
    draft.targets.push([...columns])
  } else if (kind === 1) {
    const type = draft.strict ? random.pick(['TEXT', 'INT']) : random.pick(['TEXT', 'INT', '', 'REAL'])
    draft.definitions.unshift(`k ${type}${collate(random)} PRIMARY KEY${random.pick(conflicts)}`)
    draft.columns.unshift('k')
    draft.primaryKey = ['k']
    draft.targets.push(['k'])
  } else if (kind < 4) {
    const conflict = random.pick(conflicts)
    draft.definitions.unshift(`id INTEGER PRIMARY KEY${conflict}${random.oneIn(3) ? ' AUTOINCREMENT' : ''}`)
    draft.columns.unshift('id')
    draft.primaryKey = ['id']
    draft.isAlias = true
    draft.targets.push(['id'])
  }
}

const addUniques = (random: Random, draft: Draft): string[] => {
  const indexes: string[] = []
  const all = [...draft.columns, ...draft.generated]
  for (let i = random.below(4); i > 0; i--) {
    const columns = random.some(all).slice(0, 2)
    const part = (name: string) => quote(name) + collate(random)
    const kind = random.below(4)
    const name = quote(`u${i} ${draft.name}`)
    const on = `ON ${quote(draft.name)}`
    if (kind === 0) {
      draft.constraints.push(`UNIQUE (${columns.map(quote).join(', ')})${random.pick(conflicts)}`)
      draft.targets.push([...columns])
    } else if (kind === 1) indexes.push(`CREATE UNIQUE INDEX ${name} ${on} (${columns.map(part).join(', ')})`)
    else {
      const expression = random.pick(expressions)(quote(random.pick(draft.columns)))
      const parts = kind === 2 ? columns.map(part) : [expression, ...columns.slice(1).map(part)]
      const where = kind === 2 || random.oneIn(3) ? ` WHERE ${random.pick(predicates)(quote(random.pick(all)))}` : ''
      indexes.push(`CREATE UNIQUE INDEX ${name} ${on} (${parts.join(', ')})${where}`)
    }
  }
  return indexes
}

const addForeignKey = (random: Random, draft: Draft, parents: readonly RandomTable[]): void => {
  const parent = random.pick(parents)
  const target = parent?.targets.find((columns) => columns.length === 1)
  if (!parent || !target || !random.oneIn(2)) return
  const actions = ['CASCADE', 'SET NULL', 'SET DEFAULT', 'NO ACTION', 'CASCADE']
  const [child, deferred] = [quote(random.pick(draft.columns)), random.oneIn(3) ? ' DEFERRABLE INITIALLY DEFERRED' : '']
  draft.constraints.push(
    `FOREIGN KEY (${child}) REFERENCES ${quote(parent.name)} (${quote(target[0]!)}) ON DELETE ${random.pick(actions)} ON UPDATE ${random.pick(actions)}${deferred}`,
  )
}

const logKey = (random: Random, draft: Draft, rowidWords: readonly string[]): LogKey => {
  const byColumns: LogKey = { kind: 'columns', columns: draft.primaryKey }
  if (draft.withoutRowid) return byColumns
  const words = draft.isAlias ? ['id'] : rowidWords
  if (draft.primaryKey.length > 0 && (words.length === 0 || !random.oneIn(4))) return byColumns
  return words.length === 0 ? { kind: 'none' } : { kind: 'rowid', name: random.pick(words) }
}

const addTable = (random: Random, id: number, parents: readonly RandomTable[]): { sql: string[]; table: RandomTable } => {
  const draft: Draft = {
    name: random.pick(['t', 'T x', 'select']) + id,
    strict: random.oneIn(5),
    withoutRowid: random.oneIn(5),
    definitions: [],
    columns: [],
    generated: [],
    constraints: [],
    targets: [],
    primaryKey: [],
    isAlias: false,
  }
  addColumns(random, draft)
  const hidden = !draft.withoutRowid && random.oneIn(7)
  if (hidden) {
    for (const name of ['rowid', 'OID', '_rowid_']) {
      draft.definitions.push(`${name} ${draft.strict ? 'ANY' : ''}`)
      draft.columns.push(name)
    }
  }
  addKey(random, draft)
  const indexes = addUniques(random, draft)
  addForeignKey(random, draft, parents)
  const options = [...(draft.withoutRowid ? ['WITHOUT ROWID'] : []), ...(draft.strict ? ['STRICT'] : [])]
  const body = [...draft.definitions, ...draft.constraints].join(', ')
  const rowidWords = draft.withoutRowid || hidden ? [] : ['rowid', '_rowid_', 'oid']
  const table: RandomTable = {
    id,
    name: draft.name,
    key: logKey(random, draft, rowidWords),
    columns: draft.columns,
    allColumns: [...draft.columns, ...draft.generated],
    primaryKey: draft.primaryKey,
    targets: draft.targets,
    rowidWords,
  }
  return { sql: [`CREATE TABLE ${quote(draft.name)} (${body}) ${options.join(', ')}`, ...indexes], table }
}

/** What an application's own triggers do: write to another table, or to the same. */
const appTrigger = (random: Random, tables: readonly RandomTable[], n: number, isRecursive: boolean): string[] => {
  const [on, to] = [random.pick(tables), random.pick(tables)]
  // Triggers that call themselves through others multiply rows without end.
  if (isRecursive && to.id <= on.id) return []
  const column = quote(random.pick(to.columns))
  const event = random.pick(['INSERT', 'UPDATE', 'DELETE'])
  const row = event === 'DELETE' ? 'OLD' : 'NEW'
  const value = `${row}.${quote(random.pick(on.columns))}`
  const timing = random.pick(['AFTER', 'AFTER', 'BEFORE'])
  // What becomes of a row that a trigger changes before its own UPDATE does, SQLite leaves undefined.
  const isUndefined = timing === 'BEFORE' && event !== 'INSERT' && on === to
  // Whoever puts back what is deleted is never done.
  if (event === 'DELETE' && on === to) return []
  const body = random.pick([
    `INSERT OR REPLACE INTO ${quote(to.name)} (${column}) VALUES (${value})`,
    `INSERT OR IGNORE INTO ${quote(to.name)} (${column}) SELECT ${value}`,
    ...(isUndefined ? [] : [`UPDATE OR REPLACE ${quote(to.name)} SET ${column} = ${value} WHERE ${column} = 2`]),
    ...(isUndefined ? [] : [`DELETE FROM ${quote(to.name)} WHERE ${column} = ${value}`]),
  ])
  return [`CREATE TRIGGER app${n} ${timing} ${event} ON ${quote(on.name)} BEGIN ${body}; END`]
}

export const randomSchema = (random: Random): RandomSchema => {
  const tables: RandomTable[] = []
  const sql: string[] = []
  for (let id = 1; id <= 1 + random.below(4); id++) {
    const added = addTable(random, id, tables)
    tables.push(added.table)
    sql.push(...added.sql)
  }
  const isRecursive = random.oneIn(3)
  for (let n = random.below(3); n > 0; n--) sql.push(...appTrigger(random, tables, n, isRecursive))
  const pragmas = [
    `PRAGMA foreign_keys = ${random.oneIn(3) ? 'OFF' : 'ON'}`,
    `PRAGMA recursive_triggers = ${isRecursive ? 'ON' : 'OFF'}`,
  ]
  return { sql, pragmas, tables }
}
