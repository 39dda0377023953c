/** Ids go on where the file's ended: the sequences behind the moved columns are set past every id that was ever given out. */
import type pg from 'pg'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import type { MovePlan, TablePlan } from '../move.js'
import { qualifiedName, quoteIdentifier } from '../translate/translate.js'

const tableName = ({ targetSchema, target }: TablePlan): string => qualifiedName({ schema: targetSchema, name: target })

/** Sequences of identity and serial columns, and those that a column's default draws from. */
const sequencesSql = `
  SELECT a.attname AS column, format('%I.%I', n.nspname, s.relname) AS sequence
    FROM pg_attribute AS a
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    JOIN pg_depend AS p
      ON (p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype IN ('a', 'i'))
      OR (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
    JOIN pg_class AS s ON s.oid = CASE WHEN p.classid = 'pg_class'::regclass THEN p.objid ELSE p.refobjid END AND s.relkind = 'S'
    JOIN pg_namespace AS n ON n.oid = s.relnamespace
   WHERE a.attrelid = to_regclass($1) AND a.attname = ANY ($2) AND NOT a.attisdropped
   GROUP BY 1, 2 ORDER BY 1, 2`

/** What AUTOINCREMENT has promised: the largest rowid ever given out, by table, as digits. */
const highWaters = (file: CaptureDatabase): Promise<ReadonlyMap<string, string>> =>
  file.read((db) => {
    const there = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").get()
    if (there === undefined) return new Map<string, string>()
    const rows = db.prepare<[], [string, string]>('SELECT name, CAST(seq AS TEXT) FROM sqlite_sequence').raw(true).all()
    return new Map(rows.filter(([, seq]) => /^-?\d+$/.test(seq)))
  })

const largest = (first: string | null, second: string | undefined): string | null => {
  if (first === null || second === undefined) return first ?? second ?? null
  return BigInt(first) > BigInt(second) ? first : second
}

/**
 * Sets every sequence behind a moved column: past the largest id, past what the file has ever given out, and never back. Sequences know no
 * transaction, so this stands even where the cutover is undone, and does no harm then.
 */
export const setSequences = async (client: pg.Client, file: CaptureDatabase, plan: MovePlan): Promise<number> => {
  const waters = await highWaters(file)
  let set = 0
  for (const table of plan.tables) {
    const names = table.columns.map(({ target }) => target)
    const { rows } = await client.query<{ column: string; sequence: string }>(sequencesSql, [tableName(table), names])
    for (const { column, sequence } of rows) {
      const water = largest(table.highWater, waters.get(table.source))
      const top = `greatest((SELECT max(${quoteIdentifier(column)}) FROM ${tableName(table)})::bigint, $1::bigint,
        (SELECT last_value FROM ${sequence} WHERE is_called))`
      await client.query(
        `SELECT setval('${sequence.replaceAll("'", "''")}', greatest(${top}, 1), coalesce(${top} >= 1, false))`,
        [water],
      )
      set++
    }
  }
  return set
}
