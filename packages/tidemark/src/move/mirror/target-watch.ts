/** Looks whether the moved tables are still what was moved, for what changes to the schema do not show in the feed. */
import { quoteTable } from '../../feed/table-id.js'
import { schemaError } from './bind-relation.js'
import type { MirrorSession } from './mirror-session.js'
import { type MirrorTable, needsFullIdentity } from './mirror-table.js'
import { idOf } from './prepare-mirror.js'

interface Found {
  readonly there: boolean
  readonly published: boolean
  readonly columns: readonly string[]
  readonly narrow: boolean
}

const sql = `
  WITH RECURSIVE wanted AS (SELECT n, to_regclass(n)::oid AS oid, i FROM unnest($1::text[]) WITH ORDINALITY AS w(n, i)),
  family AS (SELECT oid AS root, oid FROM wanted WHERE oid IS NOT NULL UNION SELECT f.root, h.inhrelid FROM pg_inherits h JOIN family f ON f.oid = h.inhparent)
  SELECT w.oid IS NOT NULL AS there,
         EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = w.oid AND p.pubname = $2) AS published,
         coalesce((SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = w.oid AND attnum > 0 AND NOT attisdropped), '[]') AS columns,
         EXISTS (SELECT FROM family f JOIN pg_class c ON c.oid = f.oid WHERE f.root = w.oid AND c.relkind = 'r' AND c.relreplident <> 'f') AS narrow
    FROM wanted w ORDER BY w.i`

const problemOf = (table: MirrorTable, { there, published, columns, narrow }: Found): string | undefined => {
  if (!there) return 'it was dropped or renamed'
  const missing = table.columns.find(({ target }) => !columns.includes(target))
  if (missing) return `its column "${missing.target}" was dropped or renamed`
  if (!published) return "it was taken out of the mirror's publication"
  return narrow && needsFullIdentity(table) ? 'its REPLICA IDENTITY is not FULL any more' : undefined
}

/** Raises TM_MOVE_MIRROR_SCHEMA. */
export const checkTarget = async (
  session: MirrorSession,
  path: string,
  tables: readonly MirrorTable[],
  publication: string,
): Promise<void> => {
  const { rows } = await session.query<Found>(sql, [tables.map((table) => quoteTable(idOf(table))), publication])
  for (const [i, table] of tables.entries()) {
    const problem = problemOf(table, rows[i]!)
    if (problem) throw schemaError(path, table, problem)
  }
}
