import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import type { Relation, Row, RowChange } from '../../../feed/feed.js'
import { createNamedPool } from '../../../postgres/postgres.js'
import { bootstrappedTemplate, testUrl } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import type { Beholder, Candidate, VisibilityAnswer, VisibilityQuestion } from '../../changes/visibility-port.js'
import { type OpenVisibility, type OpenVisibilityOptions, openVisibility } from '../visibility.js'

/** As a walsender of the feed writes values. */
const sessionSql = `set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set intervalstyle = 'postgres'; set extra_float_digits = 3; set bytea_output = 'hex'`
const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const userId = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`

export const beholder = (role: string, claims: object = {}): Beholder => ({ role, claims: JSON.stringify({ ...claims, role }) })
export const user = (n: number, role = 'authenticated'): Beholder => beholder(role, { sub: userId(n) })

export const questionOf = (changes: readonly RowChange[], beholders: readonly Beholder[]): VisibilityQuestion => ({
  beholders,
  candidates: changes.map((change): Candidate => ({ change, beholders: beholders.map((_beholder, index) => index) })),
})

/** Verdicts by change, by beholder. */
export const verdictsOf = ({ verdicts }: VisibilityAnswer): number[][] => verdicts.map((own) => Array.from(own))

/** A database with a session of its migrator, and visibility over it. */
export const useVisibility = () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const admin = useClient(database)
  const cleanups = useCleanups()
  let session: pg.Client
  let door: pg.Client

  beforeAll(async () => {
    session = new pg.Client({ connectionString: testUrl(database.url, 'migrator') })
    await session.connect()
    await session.query(sessionSql)
    door = new pg.Client({ connectionString: testUrl(database.url, 'authenticator') })
    await door.connect()
  })
  afterAll(() => Promise.all([session.end(), door.end()]))

  const open = (options: Partial<OpenVisibilityOptions> = {}): OpenVisibility => {
    const pool = createNamedPool('realtime', { url: testUrl(database.url, 'authenticator') })
    const visibility = openVisibility({ pool, ...options })
    cleanups.push(async () => {
      await visibility.stop()
      await pool.stop()
    })
    return visibility
  }

  const relation = async (table: string, identity: Relation['identity'] = 'full'): Promise<Relation> => {
    const { rows } = await session.query<{ oid: number; columns: Relation['columns'] }>(
      `select c.oid::int8::float8 as oid, jsonb_agg(jsonb_build_object('name', a.attname, 'typeOid', a.atttypid::int8, 'typeModifier', a.atttypmod,
                'isKey', $2 = 'full' or ($2 <> 'nothing' and coalesce(a.attnum = any(i.indkey), false))) order by a.attnum) as columns
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
         left join pg_index i on i.indrelid = c.oid and i.indisprimary
        where c.oid = $1::regclass group by c.oid`,
      [`public.${quoted(table)}`, identity],
    )
    return { schema: 'public', table, identity, ...(rows[0] as { oid: number; columns: Relation['columns'] }) }
  }

  /** The rows of the table as the log would tell them, in the order of the first column. */
  const rowsIn = async ({ table, columns }: Relation, where = 'true'): Promise<Row[]> => {
    const text = `select ${columns.map(({ name }) => quoted(name)).join(', ')} from ${quoted(table)} where ${where} order by 1`
    const { rows } = await session.query<(string | null)[]>({ text, rowMode: 'array', types: asText })
    return rows
  }

  /** What is left of an old row under the identity. */
  const old = ({ columns, identity }: Relation, row: Row): Row =>
    identity === 'full' ? row : row.map((value, index) => (columns[index]?.isKey ? value : undefined))

  return {
    database,
    admin,
    open,
    relation,
    rowsIn,
    query: (text: string, values?: unknown[]) => session.query(text, values),
    insertOf: (given: Relation, row: Row): RowChange => ({ kind: 'insert', relation: given, old: null, new: row }),
    deleteOf: (given: Relation, row: Row): RowChange => ({ kind: 'delete', relation: given, old: old(given, row), new: null }),
    updateOf: (given: Relation, before: Row, after: Row): RowChange => ({
      kind: 'update',
      relation: given,
      old: given.identity === 'full' ? before : null,
      new: after,
    }),
    /** What a real SELECT says: the rows of the table that the caller sees, by a column. Undefined where it raises. */
    select: async (table: string, { role, claims }: Beholder, key: string): Promise<ReadonlySet<string> | undefined> => {
      await door.query('begin read only')
      try {
        const settings = `set_config('role', $1, true), set_config('request.jwt.claims', $2, true), set_config('request.headers', '{}', true)`
        await door.query(`select ${settings}`, [role, claims])
        const { rows } = await door.query<[string]>({
          text: `select ${quoted(key)}::text from ${quoted(table)}`,
          rowMode: 'array',
        })
        return new Set(rows.map(([value]) => value))
      } catch {
        return undefined
      } finally {
        await door.query('rollback')
      }
    },
  }
}
