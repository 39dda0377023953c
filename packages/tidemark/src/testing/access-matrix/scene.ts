import { type AccessDeclaration, type Caller, ownerColumnsOf, type RowOf, type TableAccess, type Values } from './declaration.js'
import type { Door } from './door.js'
import { type Outcome, outcomeOfError, outcomeOfRows } from './outcome.js'

/** A session that may act as every caller, and whom no policy holds: of a superuser, or of `postgres` in a Supabase project. */
export interface AccessSession {
  query(
    text: string,
    values?: unknown[],
  ): Promise<{ readonly rows: readonly Record<string, unknown>[]; readonly rowCount: number | null }>
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Values leave as JSON, and Postgres makes of them what the columns are. */
const json = (values: Values): string =>
  JSON.stringify(values, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))

type Rows = Record<string, Record<string, Values>>

interface Column {
  readonly name: string
  readonly key: boolean
  readonly writable: boolean
  readonly generated: boolean
}

/** The database while one case looks at it: rows of every owner, in a transaction that ends with the case. */
export class Scene {
  readonly #session: AccessSession
  readonly #declaration: AccessDeclaration
  /** May leave triggers and foreign keys aside. */
  readonly #superuser: boolean
  readonly #door: Door
  readonly #rows: Rows = {}
  readonly #columns = new Map<string, Promise<readonly Column[]>>()

  private constructor(session: AccessSession, declaration: AccessDeclaration, superuser: boolean, door?: Door) {
    this.#session = session
    this.#superuser = superuser
    this.#declaration = declaration
    this.#door = door ?? this.#sql
  }

  static async #open(session: AccessSession, declaration: AccessDeclaration, door?: Door): Promise<Scene> {
    const { rows } = await session.query("select current_setting('is_superuser') = 'on' as superuser")
    const scene = new Scene(session, declaration, rows[0]?.['superuser'] === true, door)
    await scene.#seed()
    return scene
  }

  /** Makes the rows, runs `work`, and takes everything back. */
  static async play<T>(session: AccessSession, declaration: AccessDeclaration, work: (scene: Scene) => Promise<T>): Promise<T> {
    await session.query('begin')
    try {
      return await work(await Scene.#open(session, declaration))
    } finally {
      await session.query('rollback')
    }
  }

  /** Makes the rows for good, to be looked at through that door. */
  static async lay(session: AccessSession, declaration: AccessDeclaration, door: Door): Promise<Scene> {
    return Scene.#open(session, declaration, door)
  }

  #relation(table: string): string {
    return `${quote(this.#declaration.schema ?? 'public')}.${quote(table)}`
  }

  /** The row of an owner as it is in the table. */
  rowOf(table: string, owner: string): Values | undefined {
    return this.#rows[owner]?.[table]
  }

  of(owner: string): RowOf {
    return { owner, rows: this.#rows[owner] ?? {} }
  }

  async #seed(): Promise<void> {
    for (const owner of this.#declaration.owners) {
      const rows: Record<string, Values> = {}
      this.#rows[owner] = rows
      for (const [table, access] of Object.entries(this.#declaration.tables)) {
        if (!access.row) continue
        const values = { ...access.row(this.of(owner)), ...access.seed?.(this.of(owner)) }
        const [made] = await this.#insert(table, values).catch((error: unknown) => {
          throw new Error(`The row of ${owner} in ${table} cannot be made: ${String(error)}`, { cause: error })
        })
        if (!made) throw new Error(`The row of ${owner} in ${table} was not kept: a trigger or a rule has done away with it.`)
        rows[table] = made['row'] as Values
      }
    }
  }

  #insertText(table: string, values: Values): string {
    const relation = this.#relation(table)
    const columns = Object.keys(values).map(quote)
    if (columns.length === 0) return `insert into ${relation} default values`
    return `insert into ${relation} (${columns.join(', ')})
      select ${columns.map((column) => `given.${column}`).join(', ')} from jsonb_populate_record(null::${relation}, $1::jsonb) given`
  }

  async #insert(table: string, values: Values): Promise<readonly Record<string, unknown>[]> {
    const text = `${this.#insertText(table, values)} returning to_jsonb(${quote(table)}) as row`
    return (await this.#session.query(text, Object.keys(values).length > 0 ? [json(values)] : [])).rows
  }

  /** A write that cannot be, of a view or a generated column, fails before anybody asks for the grant: then the grant is looked up. */
  async #tryWrite(
    caller: Caller,
    table: string,
    privilege: string,
    text: string,
    values: unknown[],
    withoutTriggers = false,
  ): Promise<Outcome> {
    const outcome = await this.#attempt(caller, text, values, withoutTriggers)
    if (outcome.kind !== 'failed') return outcome
    const { rows } = await this.#session.query(
      `select has_table_privilege($1, $2::regclass, $3) or ($3 <> 'DELETE' and has_any_column_privilege($1, $2::regclass, $3)) as may`,
      [caller.role, this.#relation(table), privilege],
    )
    return rows[0]?.['may'] === true ? outcome : { ...outcome, kind: 'denied' }
  }

  /** Runs one statement as the caller, and takes it back. */
  async #attempt(caller: Caller, text: string, values: unknown[], withoutTriggers = false): Promise<Outcome> {
    await this.#session.query('savepoint attempt')
    try {
      if (withoutTriggers && this.#superuser) await this.#session.query("set local session_replication_role = 'replica'")
      await this.#session.query("select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)", [
        json({ ...caller.claims, role: caller.role }),
        caller.role,
      ])
      try {
        return outcomeOfRows((await this.#session.query(text, values)).rowCount ?? 0)
      } catch (error) {
        return outcomeOfError(error)
      }
    } finally {
      await this.#session.query('rollback to savepoint attempt')
    }
  }

  /** Without a role, as they are to the session. */
  #columnsOf(table: string, role = ''): Promise<readonly Column[]> {
    const key = JSON.stringify([table, role])
    const known = this.#columns.get(key) ?? this.#readColumns(table, role)
    this.#columns.set(key, known)
    return known
  }

  async #readColumns(table: string, role: string): Promise<readonly Column[]> {
    const { rows } = await this.#session.query(
      `select a.attname::text as name,
              coalesce((select a.attnum = any(i.indkey) from pg_index i where i.indrelid = a.attrelid and i.indisprimary), false) as key,
              a.attgenerated = '' and a.attidentity <> 'a' and has_column_privilege(coalesce(nullif($2, ''), current_user), a.attrelid, a.attnum, 'UPDATE') as writable,
              a.attgenerated <> '' as generated
         from pg_attribute a where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`,
      [this.#relation(table), role],
    )
    return rows as unknown as readonly Column[]
  }

  /** How the row of an owner is found. */
  async #where(table: string, access: TableAccess, owner: string): Promise<Values> {
    if (access.find) return access.find(this.of(owner))
    return this.#keyOf(table, this.rowOf(table, owner) ?? {})
  }

  async #keyOf(table: string, row: Values): Promise<Values> {
    const keys = (await this.#columnsOf(table)).filter(({ key }) => key)
    if (keys.length === 0) throw new Error(`${table} has no primary key: say in \`find\` how the row of an owner is found.`)
    return Object.fromEntries(keys.map(({ name }) => [name, row[name]]))
  }

  #condition(table: string, columns: readonly string[], parameter: number): string {
    const relation = this.#relation(table)
    const given = columns.map((column) => `given.${quote(column)}`).join(', ')
    const from = `from jsonb_populate_record(null::${relation}, $${parameter}::jsonb) given`
    return `(${columns.map(quote).join(', ')}) = (select ${given} ${from})`
  }

  readonly #sql: Door = {
    select: async (caller, table, where) => {
      const columns = Object.keys(where)
      if (columns.length === 0) return this.#attempt(caller, `select from ${this.#relation(table)}`, [])
      const text = `select from ${this.#relation(table)} where ${this.#condition(table, columns, 1)}`
      return this.#attempt(caller, text, [json(where)])
    },
    insert: (caller, table, values) => {
      const given = Object.keys(values).length > 0 ? [json(values)] : []
      return this.#tryWrite(caller, table, 'INSERT', this.#insertText(table, values), given)
    },
    update: (caller, table, values, where) => {
      const text = `${this.#setText(table, values)} where ${this.#condition(table, Object.keys(where), 2)}`
      return this.#tryWrite(caller, table, 'UPDATE', text, [json(values), json(where)])
    },
    delete: (caller, table, where) => {
      const text = `delete from ${this.#relation(table)} where ${this.#condition(table, Object.keys(where), 1)}`
      return this.#tryWrite(caller, table, 'DELETE', text, [json(where)])
    },
  }

  async select(caller: Caller, table: string, owner: string): Promise<Outcome> {
    return this.#door.select(caller, table, await this.#where(table, this.#access(table), owner))
  }

  /** How many rows there are: for the session itself, or for a caller. */
  async count(table: string, caller?: Caller): Promise<Outcome> {
    if (caller) return this.#door.select(caller, table, {})
    return outcomeOfRows((await this.#session.query(`select from ${this.#relation(table)}`)).rowCount ?? 0)
  }

  async insert(caller: Caller, table: string, owner: string): Promise<Outcome> {
    const access = this.#access(table)
    return this.#door.insert(caller, table, access.row?.(this.of(owner)) ?? access.find?.(this.of(owner)) ?? {})
  }

  async update(caller: Caller, table: string, owner: string): Promise<Outcome> {
    const access = this.#access(table)
    return this.#write(caller, table, owner, access.change ?? (await this.#sameValue(caller, table, owner)))
  }

  async delete(caller: Caller, table: string, owner: string): Promise<Outcome> {
    return this.#door.delete(caller, table, await this.#where(table, this.#access(table), owner))
  }

  /** Gives the row of one owner to another. */
  async move(caller: Caller, table: string, from: string, to: string): Promise<Outcome> {
    return this.#write(caller, table, from, this.#ownership(table, to))
  }

  /** Removes the row of an owner, makes it again and changes it, past policies and triggers: what followers of changes are told of. */
  async stir(table: string, owner: string): Promise<void> {
    const row = this.rowOf(table, owner) ?? {}
    const where = await this.#keyOf(table, row)
    const columns = await this.#columnsOf(table)
    const names = columns.filter(({ generated }) => !generated).map(({ name }) => quote(name))
    const changed = quote(columns.find(({ writable }) => writable)!.name)
    const condition = this.#condition(table, Object.keys(where), 1)
    const relation = this.#relation(table)
    await this.#session.query("set session_replication_role = 'replica'")
    await this.#session.query(`delete from ${relation} where ${condition}`, [json(where)])
    await this.#session.query(
      `insert into ${relation} (${names.join(', ')}) overriding system value
         select ${names.join(', ')} from jsonb_populate_record(null::${relation}, $1::jsonb)`,
      [json(row)],
    )
    await this.#session.query(`update ${relation} set ${changed} = ${changed} where ${condition}`, [json(where)])
    await this.#session.query("set session_replication_role = 'origin'")
  }

  /**
   * Without a condition: as no row has to be found, the policies of SELECT do not count, for the old rows nor for the new ones.
   * Foreign keys and triggers are left aside where that is possible, so that it is policies alone that keep rows.
   */
  async deleteAll(caller: Caller, table: string): Promise<Outcome> {
    return this.#tryWrite(caller, table, 'DELETE', `delete from ${this.#relation(table)}`, [], true)
  }

  async updateAll(caller: Caller, table: string): Promise<Outcome> {
    const owner = caller.owner ?? this.#declaration.owners[0]
    const values = this.#access(table).change ?? (await this.#sameValue(caller, table, owner))
    return this.#writeAll(caller, table, values, true)
  }

  /** Gives whatever the caller may update to one owner. */
  async moveAll(caller: Caller, table: string, to: string): Promise<Outcome> {
    return this.#writeAll(caller, table, this.#ownership(table, to), false)
  }

  #ownership(table: string, owner: string): Values {
    const access = this.#access(table)
    const values = { ...access.row?.(this.of(owner)), ...access.seed?.(this.of(owner)) }
    return Object.fromEntries(ownerColumnsOf(access).map((column) => [column, values[column] ?? null]))
  }

  #access(table: string): TableAccess {
    const access = this.#declaration.tables[table]
    if (!access) throw new Error(`${table} is not declared.`)
    return access
  }

  async #sameValue(caller: Caller, table: string, owner: string): Promise<Values> {
    const columns = await this.#columnsOf(table, caller.role)
    const owners = ownerColumnsOf(this.#access(table))
    const plain = columns.filter(({ name, key }) => !key && !owners.includes(name))
    const chosen = plain.find(({ writable }) => writable) ?? columns.find(({ writable }) => writable) ?? plain[0] ?? columns[0]
    if (!chosen) return {}
    return { [chosen.name]: this.rowOf(table, owner)?.[chosen.name] ?? null }
  }

  #setText(table: string, values: Values): string {
    const relation = this.#relation(table)
    const columns = Object.keys(values).map(quote)
    const given = `jsonb_populate_record(null::${relation}, $1::jsonb) given`
    return `update ${relation} set (${columns.join(', ')}) = (select ${columns.map((column) => `given.${column}`).join(', ')} from ${given})`
  }

  async #writeAll(caller: Caller, table: string, values: Values, withoutTriggers: boolean): Promise<Outcome> {
    return this.#tryWrite(caller, table, 'UPDATE', this.#setText(table, values), [json(values)], withoutTriggers)
  }

  async #write(caller: Caller, table: string, owner: string, values: Values): Promise<Outcome> {
    return this.#door.update(caller, table, values, await this.#where(table, this.#access(table), owner))
  }
}
