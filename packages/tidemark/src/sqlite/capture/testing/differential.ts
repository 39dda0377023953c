/** Runs random statements against a captured database and a twin without capture, and says where the two, or the log, go wrong. */
import Sqlite from 'better-sqlite3'
import { installCapture } from '../install.js'
import { keyNames } from '../key-expressions.js'
import { createMemoryCapture } from './memory-capture.js'
import { createRandom, type Random } from './random.js'
import { type RandomSchema, type RandomTable, randomSchema } from './random-schema.js'
import { randomStep } from './random-statements.js'

/** Tables are emptied beyond this. */
export const maxRows = 16
/** The logs are compared after each step, the twins less often. */
const stepsPerComparison = 8

const exactly = (expressions: readonly string[]): string =>
  expressions.map((name) => `typeof(${name}) || ':' || hex(${name})`).join(` || ',' || `) || `''`

/** The query that tells every row of a table by its key and its content. */
const dumpSql = (table: RandomTable): string =>
  `SELECT ${exactly(keyNames(table.key))}, ${exactly(table.allColumns.map((name) => `"${name}"`))} FROM "${table.name}"`

const loggedSql = (table: RandomTable): string =>
  `SELECT ${exactly(keyNames(table.key).map((_, i) => `k${i}`))} FROM _tidemark_log WHERE seq > ? AND t = ${table.id}`

type Rows = ReadonlyMap<string, string>

/** A database with the statements it is asked for kept. */
class Side {
  readonly db: Sqlite.Database
  readonly #statements = new Map<string, Sqlite.Statement>()

  constructor(db: Sqlite.Database, { sql, pragmas }: RandomSchema) {
    this.db = db
    for (const statement of [...sql, ...pragmas, 'CREATE TEMP TABLE last (x INTEGER PRIMARY KEY)']) db.exec(statement)
  }

  #all<T>(sql: string, ...values: readonly unknown[]): T[] {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.db.prepare(sql).raw(true)
      this.#statements.set(sql, statement)
    }
    return statement.all(...values) as T[]
  }

  head(): number {
    return this.#all<[number | null]>('SELECT max(seq) FROM _tidemark_log')[0]?.[0] ?? 0
  }

  logged(table: RandomTable, after: number): ReadonlySet<string> {
    return new Set(this.#all<[string]>(loggedSql(table), after).map(([key]) => key))
  }

  /** Rows by key; rows that share one (NULLs) together. */
  dump(table: RandomTable): Rows {
    const rows = new Map<string, string[]>()
    for (const [key, row] of this.#all<[string, string]>(dumpSql(table))) {
      const list = rows.get(key)
      if (list) list.push(row)
      else rows.set(key, [row])
    }
    return new Map([...rows].map(([key, list]) => [key, list.sort().join('\n')]))
  }

  /** Sets back what the connection says of the last statement. */
  forget(): void {
    this.db.exec('REPLACE INTO temp.last VALUES (1)')
  }

  /** What a statement answers; of one that failed, only why. */
  run(sql: string): string {
    try {
      this.db.exec(sql)
      return `ok ${this.#all('SELECT changes(), last_insert_rowid()')}`
    } catch (error) {
      // A row that is inserted before its foreign key fails leaves its rowid behind where there are triggers; nobody asks for it then.
      this.forget()
      return (error as Error).message
    }
  }
}

const countRows = (rows: Rows): number => [...rows.values()].reduce((sum, list) => sum + list.split('\n').length, 0)

const changedKeys = (before: Rows, after: Rows): readonly string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key))

export interface DifferentialResult {
  readonly statements: number
  readonly changedKeys: number
  readonly failures: readonly string[]
}

/** Where SQLite itself does otherwise once a table has any trigger, so that the twins cannot be held against each other any longer. */
const isKnown = (outcome: string, other: string, sql: string, schema: RandomSchema): boolean =>
  // In a STRICT table it looks at types before it looks at NOT NULL.
  outcome.startsWith('cannot store ') ||
  // Without triggers, what an UPDATE did before it met a rowid that is no number, stays done.
  outcome === 'datatype mismatch' ||
  // With recursive_triggers on and a trigger on DELETE, it checks once more after it removed rows, and finds what it has not removed yet.
  (outcome.startsWith('UNIQUE constraint failed') && sql.startsWith('UPDATE OR REPLACE')) ||
  // A foreign key to something that is no key shows itself already when a parent is inserted.
  outcome.startsWith('foreign key mismatch') ||
  other === 'database disk image is malformed' ||
  // The rows of an UPDATE come in another order, and each conflict is decided by what was there before.
  (sql.startsWith('UPDATE') && (/^UPDATE OR (?:IGNORE|FAIL|REPLACE)/.test(sql) || /ON CONFLICT/.test(schema.sql.join())))

class Differential {
  readonly #random: Random
  readonly #schema: RandomSchema
  readonly #captured: Side
  readonly #twin: Side
  readonly failures: string[] = []
  statements = 0
  changed = 0
  #isDoubtful = false
  #isOver = false

  constructor(random: Random, schema: RandomSchema, captured: Side, twin: Side) {
    this.#random = random
    this.#schema = schema
    this.#captured = captured
    this.#twin = twin
    this.#forget()
  }

  run(steps: number): void {
    const { tables } = this.#schema
    let before: readonly Rows[] = tables.map((table) => this.#captured.dump(table))
    for (let i = 0; i < steps && !this.#isOver && this.failures.length === 0; i++) {
      const tooLarge = tables.filter((_, t) => countRows(before[t]!) > maxRows)
      const step =
        tooLarge.length > 0 ? tooLarge.map(({ name }) => `DELETE FROM "${name}"`) : randomStep(this.#random, this.#schema)
      before = this.#step(step, before)
      // Triggers of the application may put back more than was deleted.
      if (before.some((rows) => countRows(rows) > maxRows * 10)) return
      if (i % stepsPerComparison === 0) this.#compareTwins(before, step)
    }
  }

  #step(step: readonly string[], before: readonly Rows[]): readonly Rows[] {
    const head = this.#captured.head()
    for (const sql of step) this.#statement(sql)
    if (this.#captured.db.inTransaction || this.#twin.db.inTransaction) this.#statement('ROLLBACK')
    const now = this.#schema.tables.map((table) => this.#captured.dump(table))
    for (const [t, table] of this.#schema.tables.entries()) this.#compare(table, before[t]!, now[t]!, head, step)
    return now
  }

  #statement(sql: string): void {
    const [captured, twin] = [this.#captured.run(sql), this.#twin.run(sql)]
    this.statements++
    const isControl = /^(?:SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT)/.test(sql)
    const isSame = captured === twin || (isControl && captured.startsWith('ok') && twin.startsWith('ok'))
    if (isKnown(captured, twin, sql, this.#schema)) this.#doubt(!isSame)
    else if (!isSame && !this.#isDoubtful) this.failures.push(`${sql}: ${captured} with capture, ${twin} without`)
  }

  /** After a known difference in an outcome, one in the rows may follow, and ends the comparison. */
  #compareTwins(now: readonly Rows[], step: readonly string[]): void {
    const isOther = this.#schema.tables.some((table, t) => changedKeys(now[t]!, this.#twin.dump(table)).length > 0)
    if (isOther && !this.#isDoubtful)
      this.failures.push(`tables are not what they are without capture, some time before ${step.join('; ')}`)
    this.#isOver = isOther
    if (this.#isDoubtful) this.#forget()
    this.#isDoubtful = false
  }

  #doubt(forget: boolean): void {
    this.#isDoubtful = true
    if (forget) this.#forget()
  }

  #forget(): void {
    this.#captured.forget()
    this.#twin.forget()
  }

  #compare(table: RandomTable, before: Rows, now: Rows, head: number, step: readonly string[]): void {
    const changed = changedKeys(before, now)
    this.changed += changed.length
    const logged = this.#captured.logged(table, head)
    const missing = changed.filter((key) => !logged.has(key))
    if (missing.length > 0) this.failures.push(`${table.name}: ${missing.join(' | ')} not logged after ${step.join('; ')}`)
  }
}

/** One random schema and as many steps; none where SQLite refuses the schema. */
export const runDifferential = async (seed: number, steps: number): Promise<DifferentialResult> => {
  const random = createRandom(seed)
  const schema = randomSchema(random)
  const file = createMemoryCapture()
  const plain = new Sqlite(':memory:')
  try {
    const twin = new Side(plain, schema)
    const captured = new Side(file.db, schema)
    await installCapture(file, { runId: 'run', captureId: 'capture', epoch: 1n, tables: schema.tables })
    const differential = new Differential(random, schema, captured, twin)
    differential.run(steps)
    const { statements, changed, failures } = differential
    const keys = schema.tables.map(({ name, key }) => `${name}: ${JSON.stringify(key)}`)
    return {
      statements,
      changedKeys: changed,
      failures: failures.length > 0 ? [`seed ${seed}`, ...failures, ...schema.pragmas, ...schema.sql, ...keys] : [],
    }
  } catch (error) {
    if (error instanceof Sqlite.SqliteError && isRefusedSchema(error)) return { statements: 0, changedKeys: 0, failures: [] }
    throw error
  } finally {
    file.close()
    plain.close()
  }
}

/** What another program needs to compare as this one does. */
export const differentialTables = ({ tables }: RandomSchema) =>
  tables.map((table) => ({ name: table.name, dump: dumpSql(table), logged: loggedSql(table) }))

const isRefusedSchema = ({ message }: Error): boolean =>
  /^(?:AUTOINCREMENT|conflicting ON CONFLICT|unknown datatype|duplicate column|foreign key mismatch|near )/.test(message)
