/**
 * What of the target waits for the cutover, so that single changes can be applied in any order (soundness 17): foreign keys, unique indexes
 * besides primary keys, and triggers. Planned ones are not made yet; of tables that exist they are taken away and remembered.
 */
import type pg from 'pg'
import { rowColumn } from '../log-key.js'
import type { MovePlan, ObjectDecision, TablePlan } from '../move.js'
import { rowIndexName } from '../plan/live-table.js'
import { qualifiedName, quoteIdentifier } from '../translate/translate.js'

/** One row of `tidemark.move_waiting`. */
export interface WaitingObject {
  /** Of the target, quoted and qualified. */
  readonly tableName: string
  /** As Postgres knows it. */
  readonly name: string
  readonly kind: 'unique' | 'foreignKey' | 'trigger' | 'rowColumn'
  /** Brings the target into its own form; a foreign key comes NOT VALID where Postgres allows that. */
  readonly makeSql: string
  /** Brings it into the form for following. */
  readonly dropSql: string
}

const nameOf = ({ targetSchema, target }: TablePlan): string => qualifiedName({ schema: targetSchema, name: target })

/** True for objects of the plan that a live copy does not make. */
export const isWaiting = ({ type, sql }: ObjectDecision): boolean =>
  sql.length > 0 &&
  (type === 'foreignKey' || type === 'unique' || (type === 'primaryKey' && /^CREATE UNIQUE INDEX /.test(sql[0]!)))

const quotedName = /(?:ADD CONSTRAINT|CREATE UNIQUE INDEX) "((?:[^"]|"")+)"/

const plannedObject = (table: TablePlan, { type, sql }: ObjectDecision): WaitingObject => {
  const makeSql = sql[0]!
  const name = quotedName.exec(makeSql)![1]!.replaceAll('""', '"')
  const tableName = nameOf(table)
  const isIndex = makeSql.startsWith('CREATE UNIQUE INDEX ')
  const dropSql = isIndex
    ? `DROP INDEX IF EXISTS ${qualifiedName({ schema: table.targetSchema, name })}`
    : `ALTER TABLE ${tableName} DROP CONSTRAINT IF EXISTS ${quoteIdentifier(name)}`
  return { tableName, name, kind: type === 'foreignKey' ? 'foreignKey' : 'unique', makeSql, dropSql }
}

/** The objects of a plan that wait. */
export const plannedWaiting = (plan: MovePlan): readonly WaitingObject[] =>
  plan.objects
    .filter(isWaiting)
    .map((object) => plannedObject(plan.tables.find(({ source }) => source === object.table)!, object))

/** The columns that go at the cutover. */
export const rowColumns = (plan: MovePlan): readonly WaitingObject[] =>
  plan.tables
    .filter(({ columns }) => columns.some(({ target }) => target === rowColumn))
    .map((table) => {
      const [tableName, column] = [nameOf(table), quoteIdentifier(rowColumn)]
      const index = quoteIdentifier(rowIndexName(table))
      return {
        tableName,
        name: rowColumn,
        kind: 'rowColumn',
        makeSql: `ALTER TABLE ${tableName} DROP COLUMN IF EXISTS ${column}`,
        dropSql: `ALTER TABLE ${tableName} ADD COLUMN IF NOT EXISTS ${column} bigint; CREATE INDEX IF NOT EXISTS ${index} ON ${tableName} (${column})`,
      }
    })

/** The moved tables and their partitions, by oid. */
const movedSql = `
  WITH RECURSIVE moved AS (
    SELECT to_regclass(name)::oid AS oid FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL
    UNION SELECT i.inhrelid FROM pg_inherits AS i JOIN moved ON moved.oid = i.inhparent)`

/** Foreign keys of the moved tables and those of other tables into them, unique and exclusion constraints. */
const constraintsSql = `${movedSql}
  SELECT format('%I.%I', n.nspname, c.relname) AS "tableName", k.conname AS name,
         CASE k.contype WHEN 'f' THEN 'foreignKey' ELSE 'unique' END AS kind,
         pg_get_constraintdef(k.oid) || CASE WHEN k.contype = 'f' AND c.relkind = 'r' AND k.convalidated THEN ' NOT VALID' ELSE '' END AS definition,
         coalesce((SELECT indisreplident FROM pg_index WHERE indexrelid = k.conindid AND k.contype <> 'f'), false) AS "isIdentity"
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE k.contype IN ('f', 'u', 'x') AND k.conparentid = 0
     AND (k.conrelid IN (SELECT oid FROM moved) OR (k.contype = 'f' AND k.confrelid IN (SELECT oid FROM moved)))
   ORDER BY k.contype, 1, 2`

const indexesSql = `${movedSql}
  SELECT format('%I.%I', n.nspname, c.relname) AS "tableName", x.relname AS name, format('%I.%I', n.nspname, x.relname) AS "indexName",
         regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition, i.indisreplident AS "isIdentity"
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_class AS x ON x.oid = i.indexrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE i.indrelid IN (SELECT oid FROM moved) AND i.indisunique AND NOT i.indisprimary AND NOT x.relispartition
     AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('u', 'x', 'p')) ORDER BY 1, 2`

/** The triggers of others; what Tidemark itself put there (its fence, its outbox) goes on. */
const triggersSql = `${movedSql}
  SELECT format('%I.%I', n.nspname, c.relname) AS "tableName", t.tgname AS name, t.tgenabled = 'A' AS "isAlways"
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE t.tgrelid IN (SELECT oid FROM moved) AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN ('O', 'A')
     AND NOT EXISTS (SELECT FROM pg_proc AS p JOIN pg_namespace AS o ON o.oid = p.pronamespace
                      WHERE p.oid = t.tgfoid AND o.nspname = 'tidemark' AND p.proname ~ '^(feed_|refuse_write$)') ORDER BY 1, 2`

interface FoundRow {
  readonly tableName: string
  readonly name: string
  readonly kind: WaitingObject['kind']
  readonly definition: string
  readonly indexName: string
  readonly isIdentity: boolean
  readonly isAlways: boolean
}

/** Names come out qualified only where nothing is on the search path. */
const ask = async (client: pg.Client, sql: string, names: readonly string[]): Promise<readonly FoundRow[]> => {
  const { rows } = await client.query<{ path: string }>(
    "SELECT current_setting('search_path') AS path, set_config('search_path', '', true)",
  )
  const found = await client.query<FoundRow>(sql, [names])
  await client.query("SELECT set_config('search_path', $1, true)", [rows[0]!.path])
  return found.rows
}

/** A unique index by which replication knows old rows has to be named as such again. */
const identitySql = (tableName: string, index: string, isIdentity: boolean): string =>
  isIdentity ? `; ALTER TABLE ${tableName} REPLICA IDENTITY USING INDEX ${quoteIdentifier(index)}` : ''

const dropIdentity = (tableName: string, isIdentity: boolean): string =>
  isIdentity ? `ALTER TABLE ${tableName} REPLICA IDENTITY FULL; ` : ''

const asConstraint = ({ tableName, name, kind, definition, isIdentity }: FoundRow): WaitingObject => ({
  tableName,
  name,
  kind,
  makeSql: `ALTER TABLE ${tableName} ADD CONSTRAINT ${quoteIdentifier(name)} ${definition}${identitySql(tableName, name, isIdentity)}`,
  dropSql: `${dropIdentity(tableName, isIdentity)}ALTER TABLE ${tableName} DROP CONSTRAINT IF EXISTS ${quoteIdentifier(name)}`,
})

const asIndex = ({ tableName, name, indexName, definition, isIdentity }: FoundRow): WaitingObject => ({
  tableName,
  name,
  kind: 'unique',
  makeSql: `${definition}${identitySql(tableName, name, isIdentity)}`,
  dropSql: `${dropIdentity(tableName, isIdentity)}DROP INDEX IF EXISTS ${indexName}`,
})

const asTrigger = ({ tableName, name, isAlways }: FoundRow): WaitingObject => ({
  tableName,
  name,
  kind: 'trigger',
  makeSql: `ALTER TABLE ${tableName} ENABLE ${isAlways ? 'ALWAYS ' : ''}TRIGGER ${quoteIdentifier(name)}`,
  dropSql: `ALTER TABLE ${tableName} DISABLE TRIGGER ${quoteIdentifier(name)}`,
})

/** In the order in which they are made: unique indexes, what refers to them, triggers, and then the columns that go. */
const rank = { unique: 0, foreignKey: 1, trigger: 2, rowColumn: 3 } as const

/**
 * Within a transaction: takes away what stands on the tables of a plan, makes the row columns, and remembers all of it and the objects that
 * are only planned. What an earlier run of the same tables remembers and never put back is remembered on.
 */
export const setAside = async (
  client: pg.Client,
  plan: MovePlan,
  runId: string,
  planned: readonly WaitingObject[],
): Promise<void> => {
  const names = plan.tables.map(nameOf)
  const constraints = (await ask(client, constraintsSql, names)).map(asConstraint)
  const indexes = (await ask(client, indexesSql, names)).map(asIndex)
  const triggers = (await ask(client, triggersSql, names)).map(asTrigger)
  const standing = [...constraints, ...indexes, ...triggers]
  // Foreign keys first: they lean on the unique indexes.
  for (const { dropSql } of [...standing].sort((a, b) => Number(b.kind === 'foreignKey') - Number(a.kind === 'foreignKey')))
    await client.query(dropSql)
  const columns = rowColumns(plan)
  // Their indexes come with the others, when the rows are there.
  for (const { tableName } of columns)
    await client.query(`ALTER TABLE ${tableName} ADD COLUMN IF NOT EXISTS ${quoteIdentifier(rowColumn)} bigint`)
  const waiting = [...planned, ...standing, ...columns, ...(await leftBehind(client, plan))]
  await writeWaiting(client, runId, inOrder(waiting))
}

/** What earlier runs took away from the same tables and nobody put back; from now on it is the caller's. */
const leftBehind = async (client: pg.Client, plan: MovePlan): Promise<readonly WaitingObject[]> => {
  if (plan.into === 'new') return []
  const { rows } = await client.query<WaitingObject & { readonly ordinal: number }>(
    `DELETE FROM tidemark.move_waiting AS w USING tidemark.move_runs AS r
      WHERE r.id = w.run_id AND w.state <> 'made' AND r.source_path = $1 AND r.target_schema = $2 AND r.state IN ('planned', 'copying', 'copied')
     RETURNING w.ordinal, w.table_name AS "tableName", w.name, w.kind, w.make_sql AS "makeSql", w.drop_sql AS "dropSql"`,
    [plan.path, plan.targetSchema],
  )
  return rows.sort((a, b) => a.ordinal - b.ordinal)
}

/** Each object once, in the order in which they are made. */
const inOrder = (objects: readonly WaitingObject[]): readonly WaitingObject[] => {
  const once = new Map(objects.map((object) => [`${object.kind} ${object.tableName} ${object.name}`, object]))
  return [...once.values()].sort((a, b) => rank[a.kind] - rank[b.kind])
}

const writeWaiting = async (client: pg.Client, runId: string, objects: readonly WaitingObject[]): Promise<void> => {
  const field = <T>(of: (object: WaitingObject) => T): T[] => objects.map(of)
  await client.query(
    `INSERT INTO tidemark.move_waiting (run_id, ordinal, table_name, name, kind, make_sql, drop_sql)
     SELECT $1, n, t, o, k, m, d FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS u(t, o, k, m, d, n)`,
    [
      runId,
      field(({ tableName }) => tableName),
      field(({ name }) => name),
      field(({ kind }) => kind),
      field(({ makeSql }) => makeSql),
      field(({ dropSql }) => dropSql),
    ],
  )
}

/** Within a transaction: brings the tables of earlier live runs into their own form again, before they are copied into otherwise. */
export const putBack = async (client: pg.Client, plan: MovePlan): Promise<void> => {
  for (const { makeSql } of inOrder(await leftBehind(client, plan))) await client.query(makeSql)
}
