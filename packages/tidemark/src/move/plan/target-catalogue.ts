/** What the tables of the target look like, for a move into tables that exist. */
import type pg from 'pg'

export interface TargetColumn {
  readonly name: string
  /** As `format_type` writes it; of a domain, its base type. */
  readonly type: string
  readonly isEnum: boolean
  readonly notNull: boolean
  readonly hasDefault: boolean
  readonly generated: boolean
  readonly identity: boolean
  /** The sequence behind an identity or serial column. */
  readonly sequence: string | null
  /** Its collation calls different texts equal. */
  readonly isLoose: boolean
}

export interface TargetForeignKey {
  readonly name: string
  readonly columns: readonly string[]
  readonly parentSchema: string
  readonly parent: string
  readonly parentColumns: readonly string[]
}

export interface TargetTable {
  readonly schema: string
  readonly name: string
  readonly columns: readonly TargetColumn[]
  readonly primaryKey: readonly string[]
  readonly foreignKeys: readonly TargetForeignKey[]
}

const columnsSql = `
  SELECT a.attname AS name,
         format_type(CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END, CASE WHEN y.typtype = 'd' THEN y.typtypmod ELSE a.atttypmod END) AS type,
         y.typtype = 'e' AS "isEnum", a.attnotnull OR (y.typtype = 'd' AND y.typnotnull) AS "notNull",
         a.atthasdef AND a.attgenerated = '' OR a.attidentity <> '' AS "hasDefault",
         a.attgenerated <> '' AS generated, a.attidentity <> '' AS identity,
         pg_get_serial_sequence(format('%I.%I', $1::text, $2::text), a.attname) AS sequence,
         EXISTS (SELECT FROM pg_collation AS l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic) AS "isLoose"
    FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
   WHERE a.attrelid = format('%I.%I', $1::text, $2::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

const keysSql = `
  SELECT k.conname AS name, k.contype AS kind, p.relname AS parent, n.nspname AS "parentSchema",
         (SELECT json_agg(attname ORDER BY i) FROM unnest(k.conkey) WITH ORDINALITY AS u(num, i) JOIN pg_attribute ON attrelid = k.conrelid AND attnum = num) AS columns,
         (SELECT json_agg(attname ORDER BY i) FROM unnest(k.confkey) WITH ORDINALITY AS u(num, i) JOIN pg_attribute ON attrelid = k.confrelid AND attnum = num) AS "parentColumns"
    FROM pg_constraint AS k LEFT JOIN pg_class AS p ON p.oid = k.confrelid LEFT JOIN pg_namespace AS n ON n.oid = p.relnamespace
   WHERE k.conrelid = format('%I.%I', $1::text, $2::text)::regclass AND k.contype IN ('p', 'f') ORDER BY k.conname`

/** The table, or nothing where there is none. */
export const readTargetTable = async (client: pg.Client, schema: string, name: string): Promise<TargetTable | undefined> => {
  const { rows: found } = await client.query(
    "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')",
    [schema, name],
  )
  if (found.length === 0) return undefined
  const columns = await client.query<TargetColumn>(columnsSql, [schema, name])
  const keys = await client.query<TargetForeignKey & { kind: 'p' | 'f' }>(keysSql, [schema, name])
  return {
    schema,
    name,
    columns: columns.rows,
    primaryKey: keys.rows.find(({ kind }) => kind === 'p')?.columns ?? [],
    foreignKeys: keys.rows.filter(({ kind }) => kind === 'f'),
  }
}
