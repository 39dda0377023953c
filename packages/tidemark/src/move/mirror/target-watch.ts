/** Looks whether the moved tables are still what was moved, for what changes to the schema do not show in the feed. */
import { quoteTable } from '../../feed/table-id.js'
import { baseTypeOf, binaryTypes } from '../copy/encoders.js'
import { schemaError } from './bind-relation.js'
import type { MirrorSession } from './mirror-session.js'
import { type MirrorTable, needsFullIdentity } from './mirror-table.js'
import { idOf } from './prepare-mirror.js'

interface Found {
  readonly oid: number | null
  readonly published: boolean
  /** Names with their types; of a domain, its base type. */
  readonly columns: Readonly<Record<string, string>>
  readonly narrow: boolean
}

const sql = `
  WITH RECURSIVE wanted AS (SELECT n, to_regclass(n)::oid AS oid, i FROM unnest($1::text[]) WITH ORDINALITY AS w(n, i)),
  family AS (SELECT oid AS root, oid FROM wanted WHERE oid IS NOT NULL UNION SELECT f.root, h.inhrelid FROM pg_inherits h JOIN family f ON f.oid = h.inhparent)
  SELECT w.oid::int8::float8 AS oid,
         EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = w.oid AND p.pubname = $2) AS published,
         coalesce((SELECT json_object_agg(a.attname, format_type(CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END, -1)) FROM pg_attribute a
                     JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped), '{}') AS columns,
         EXISTS (SELECT FROM family f JOIN pg_class c ON c.oid = f.oid WHERE f.root = w.oid AND c.relkind = 'r' AND c.relreplident <> 'f') AS narrow
    FROM wanted w ORDER BY w.i`

/** Types whose values read alike; any other is a kind of its own. */
const kinds = [
  ['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision'],
  ['text', 'character varying', 'character', 'citext', 'name'],
]

const isAlike = (planned: string, found: string): boolean => {
  const [a, b] = [baseTypeOf(planned), baseTypeOf(found)]
  return a === b || kinds.some((kind) => kind.includes(a) && kind.includes(b))
}

/** The values of an enum are texts, and its name says nothing. */
const isKnown = (type: string): boolean => binaryTypes.has(baseTypeOf(type))

const problemOf = (table: MirrorTable, { oid, published, columns, narrow }: Found): string | undefined => {
  if (oid === null) return 'it was dropped or renamed'
  for (const { target, plan } of table.columns) {
    const type = columns[target]
    if (type === undefined) return `its column "${target}" was dropped or renamed`
    if (isKnown(type) && isKnown(plan.targetType) && !isAlike(plan.targetType, type))
      return `its column "${target}" is ${type} and was ${plan.targetType}`
  }
  if (!published) return "it was taken out of the mirror's publication"
  return narrow && needsFullIdentity(table) ? 'its REPLICA IDENTITY is not FULL any more' : undefined
}

/** Gives the oids of the tables, in their order. Raises TM_MOVE_MIRROR_SCHEMA. */
export const checkTarget = async (
  session: MirrorSession,
  path: string,
  tables: readonly MirrorTable[],
  publication: string,
): Promise<readonly number[]> => {
  const { rows } = await session.query<Found>(sql, [tables.map((table) => quoteTable(idOf(table))), publication])
  for (const [i, table] of tables.entries()) {
    const problem = problemOf(table, rows[i]!)
    if (problem) throw schemaError(path, table, problem)
  }
  return rows.map(({ oid }) => oid!)
}
