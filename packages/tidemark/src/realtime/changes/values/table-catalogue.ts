import type { Pool } from '../../../postgres/postgres.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import type { TypeCatalogue, TypeFacts } from './type-catalogue.js'
import type { Collation } from './value-kind.js'

export interface ColumnFacts extends Collation {
  readonly name: string
  readonly type: TypeFacts
  /** Quoted, with its schema; undefined for the type's own, or none. */
  readonly collationName: string | undefined
}

/** A table as Postgres' catalogue has it now. */
export interface TableFacts {
  readonly schema: string
  readonly table: string
  readonly columns: ReadonlyMap<string, ColumnFacts>
  /** Of the primary key, in the table's order; empty where there is none. */
  readonly key: readonly string[]
}

interface ColumnRow {
  readonly name: string
  readonly type: number
  readonly deterministic: boolean
  readonly bytewise: boolean
  readonly collation: string | null
}

interface TableRow {
  readonly columns: readonly ColumnRow[] | null
  readonly key: readonly string[] | null
}

// A column without a collation compares by its type alone. That of the database is number 100.
const tableSql = `
  select (select jsonb_agg(jsonb_build_object(
            'name', a.attname, 'type', a.atttypid::int8,
            'deterministic', coalesce(l.collisdeterministic, true),
            'bytewise', case when a.attcollation in (0, 950) then true
                             when a.attcollation = 100 then d.datlocprovider = 'c' and d.datcollate in ('C', 'POSIX')
                             else l.collprovider = 'c' and l.collcollate in ('C', 'POSIX') end,
            'collation', case when a.attcollation not in (0, 100) then format('%I.%I', ln.nspname, l.collname) end) order by a.attnum)
            from pg_attribute a left join pg_collation l on l.oid = a.attcollation left join pg_namespace ln on ln.oid = l.collnamespace
           where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
         (select jsonb_agg(a.attname order by a.attnum) from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
           where i.indrelid = c.oid and i.indisprimary) as key
    from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_database d
   where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') and d.datname = current_database()`

export interface TableCatalogue {
  /** Undefined where there is no such table. Raises TM_POSTGRES_*. */
  find(schema: string, table: string): Promise<TableFacts | undefined>
  /** What was found before counts no more: its structure has changed. */
  forget(schema: string, table: string): void
}

/** For so long an answer is given again: many begin to listen at once. */
const keptMs = 1_000

/** Makes the catalogue of the pool's database. */
export const createTableCatalogue = (
  pool: Pick<Pool, 'query'>,
  types: TypeCatalogue,
  clock: Clock = systemClock,
): TableCatalogue => {
  const kept = new Map<string, { readonly at: number; readonly facts: Promise<TableFacts | undefined> }>()
  const keyOf = (schema: string, table: string): string => JSON.stringify([schema, table])

  const read = async (schema: string, table: string): Promise<TableFacts | undefined> => {
    const { rows } = await pool.query<TableRow>(tableSql, [schema, table], { idempotent: true })
    const [row] = rows
    if (!row) return undefined
    const columns = row.columns ?? []
    await types.load(columns.map(({ type }) => type))
    const known = columns.flatMap(({ name, type: oid, deterministic, bytewise, collation }) => {
      const type = types.get(oid)
      return type ? [[name, { name, type, deterministic, bytewise, collationName: collation ?? undefined }] as const] : []
    })
    return { schema, table, columns: new Map(known), key: row.key ?? [] }
  }

  return {
    find: (schema, table) => {
      const key = keyOf(schema, table)
      const found = kept.get(key)
      if (found && clock.monotonicMs() - found.at < keptMs) return found.facts
      const facts = read(schema, table)
      kept.set(key, { at: clock.monotonicMs(), facts })
      facts.catch(() => kept.delete(key))
      return facts
    },
    forget: (schema, table) => void kept.delete(keyOf(schema, table)),
  }
}
