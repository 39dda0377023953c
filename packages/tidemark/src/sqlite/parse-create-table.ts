import type { SqliteCheck, SqliteConflictClause } from './sqlite.js'
import { enterCreate } from './statement.js'
import { TokenCursor, UnexpectedSql } from './token-cursor.js'

export interface ColumnText {
  readonly name: string
  /** As written, but for quotes, comments and needless blanks. */
  readonly declaredType: string
  readonly collation: string | null
  readonly generated: { readonly expression: string; readonly kind: 'stored' | 'virtual' } | null
}

export interface ForeignKeyText {
  readonly name: string | null
  readonly columns: readonly string[]
  readonly parentTable: string
  readonly initiallyDeferred: boolean
}

/** What a CREATE TABLE says that the pragmas do not. Foreign keys and checks in the order written. */
export interface TableText {
  readonly columns: readonly ColumnText[]
  readonly primaryKeyName: string | null
  readonly autoincrement: boolean
  readonly checks: readonly SqliteCheck[]
  readonly foreignKeys: readonly ForeignKeyText[]
  readonly conflictClauses: readonly SqliteConflictClause[]
}

type Draft<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? Draft<E>[] : T[K] }

const constraintWords = [
  'CONSTRAINT',
  'NULL',
  'NOT',
  'PRIMARY',
  'UNIQUE',
  'CHECK',
  'DEFAULT',
  'REFERENCES',
  'COLLATE',
  'AS',
  'DEFERRABLE',
]
const tableConstraintWords = ['CONSTRAINT', 'PRIMARY', 'UNIQUE', 'CHECK', 'FOREIGN']
const conflictActions = ['ROLLBACK', 'ABORT', 'FAIL', 'IGNORE', 'REPLACE'] as const

/** Reads the body of one CREATE TABLE. One object per statement. */
class TableParser {
  readonly #cursor: TokenCursor
  readonly #table: Draft<TableText> = {
    columns: [],
    primaryKeyName: null,
    autoincrement: false,
    checks: [],
    foreignKeys: [],
    conflictClauses: [],
  }

  constructor(sql: string) {
    this.#cursor = new TokenCursor(sql)
  }

  parse(): TableText {
    const cursor = this.#cursor
    enterCreate(cursor)
    cursor.expect('(')
    do {
      if (tableConstraintWords.some((word) => cursor.at(word)) && this.#table.columns.length > 0) this.#tableConstraints()
      else this.#column()
    } while (cursor.take(','))
    cursor.expect(')')
    return this.#table
  }

  #column(): void {
    const column: Draft<ColumnText> = { name: this.#cursor.name(), declaredType: this.#type(), collation: null, generated: null }
    this.#table.columns.push(column)
    let name: string | null = null
    while (!this.#cursor.at(',') && !this.#cursor.at(')')) name = this.#columnConstraint(column, name)
  }

  #type(): string {
    const cursor = this.#cursor
    const words: string[] = []
    for (;;) {
      const token = cursor.peek()
      const isName = token?.kind === 'word' || token?.kind === 'quoted' || token?.kind === 'string'
      if (!isName || constraintWords.some((word) => cursor.at(word)) || cursor.at('GENERATED', 'ALWAYS')) break
      words.push(cursor.next().value)
    }
    if (words.length === 0 || !cursor.at('(')) return words.join(' ')
    const from = cursor.position
    cursor.parenthesised()
    const inside = cursor.tokens.slice(from, cursor.position).map((token) => token.text)
    return words.join(' ') + inside.join('')
  }

  /** Reads one constraint of a column; gives the name that the next one carries. */
  #columnConstraint(column: Draft<ColumnText>, name: string | null): string | null {
    const cursor = this.#cursor
    if (cursor.take('CONSTRAINT')) return cursor.name()
    if (cursor.take('DEFAULT')) this.#default()
    else if (cursor.take('NOT', 'NULL')) this.#onConflict(`NOT NULL (${column.name})`)
    else if (cursor.take('NULL')) this.#onConflict(`NULL (${column.name})`)
    else if (cursor.take('PRIMARY', 'KEY')) this.#columnPrimaryKey(column, name)
    else if (cursor.take('UNIQUE')) this.#onConflict(`UNIQUE (${column.name})`)
    else if (cursor.take('CHECK')) this.#check(name)
    else if (cursor.take('REFERENCES')) this.#references([column.name], name)
    else if (cursor.take('COLLATE')) column.collation = cursor.name()
    else if (cursor.take('GENERATED', 'ALWAYS', 'AS') || cursor.take('AS')) this.#generated(column)
    else if (!this.#deferrable()) throw new UnexpectedSql(`${JSON.stringify(cursor.next().text)} begins no constraint`)
    return null
  }

  #default(): void {
    const cursor = this.#cursor
    if (cursor.at('(')) {
      cursor.parenthesised()
      return
    }
    if (!cursor.take('+')) cursor.take('-')
    cursor.next()
  }

  #columnPrimaryKey(column: ColumnText, name: string | null): void {
    const cursor = this.#cursor
    if (!cursor.take('ASC')) cursor.take('DESC')
    this.#onConflict(`PRIMARY KEY (${column.name})`)
    if (cursor.take('AUTOINCREMENT')) this.#table.autoincrement = true
    this.#table.primaryKeyName = name
  }

  #generated(column: Draft<ColumnText>): void {
    const expression = this.#cursor.parenthesised()
    const stored = this.#cursor.take('STORED')
    if (!stored) this.#cursor.take('VIRTUAL')
    column.generated = { expression, kind: stored ? 'stored' : 'virtual' }
  }

  #check(name: string | null): void {
    this.#table.checks.push({ name, expression: this.#cursor.parenthesised() })
    this.#onConflict('CHECK')
  }

  #references(columns: readonly string[], name: string | null): void {
    const cursor = this.#cursor
    const parentTable = cursor.name()
    if (cursor.at('(')) cursor.nameList()
    this.#table.foreignKeys.push({ name, columns: [...columns], parentTable, initiallyDeferred: false })
    while (cursor.at('ON') || cursor.at('MATCH')) {
      if (cursor.take('MATCH')) cursor.name()
      else {
        cursor.position += 2
        if (!cursor.take('SET', 'NULL') && !cursor.take('SET', 'DEFAULT') && !cursor.take('NO', 'ACTION')) cursor.next()
      }
    }
    this.#deferrable()
  }

  /** `[NOT] DEFERRABLE [INITIALLY …]`, which belongs to the foreign key before it. */
  #deferrable(): boolean {
    const cursor = this.#cursor
    const not = cursor.take('NOT', 'DEFERRABLE')
    if (!not && !cursor.take('DEFERRABLE')) return false
    const deferred = cursor.take('INITIALLY', 'DEFERRED')
    if (!deferred) cursor.take('INITIALLY', 'IMMEDIATE')
    const last = this.#table.foreignKeys.at(-1)
    if (last) last.initiallyDeferred = deferred && !not
    return true
  }

  #onConflict(constraint: string): void {
    if (!this.#cursor.take('ON', 'CONFLICT')) return
    const written = this.#cursor.next().text.toUpperCase()
    const action = conflictActions.find((known) => known === written)
    if (action && action !== 'ABORT') this.#table.conflictClauses.push({ constraint, action })
  }

  /** SQLite takes the commas between table constraints as a matter of taste. */
  #tableConstraints(): void {
    let name: string | null = null
    while (!this.#cursor.at(',') && !this.#cursor.at(')')) {
      if (this.#cursor.take('CONSTRAINT')) name = this.#cursor.name()
      else {
        this.#tableConstraint(name)
        name = null
      }
    }
  }

  #tableConstraint(name: string | null): void {
    const cursor = this.#cursor
    if (cursor.take('CHECK')) this.#check(name)
    else if (cursor.take('FOREIGN', 'KEY')) {
      const columns = cursor.nameList()
      cursor.expect('REFERENCES')
      this.#references(columns, name)
    } else if (cursor.take('UNIQUE')) this.#onConflict(`UNIQUE (${cursor.parenthesised()})`)
    else {
      cursor.expect('PRIMARY', 'KEY')
      this.#table.primaryKeyName = name
      const columns = cursor.parenthesised()
      if (/\bautoincrement$/i.test(columns)) this.#table.autoincrement = true
      this.#onConflict(`PRIMARY KEY (${columns})`)
    }
  }
}

/** Parses a CREATE TABLE as sqlite_schema keeps it. Throws {@link UnexpectedSql} where it is not in SQLite's grammar. */
export const parseCreateTable = (sql: string): TableText => new TableParser(sql).parse()
