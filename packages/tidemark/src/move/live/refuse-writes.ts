/** The fence of Postgres: statement triggers that refuse writes on every moved table, to whatever client, but for the move itself. */
import type pg from 'pg'
import type { MovePlan, TablePlan } from '../move.js'
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../translate/translate.js'

const triggerName = '_tidemark_refuse_write'

const nameOf = ({ targetSchema, target }: Pick<TablePlan, 'targetSchema' | 'target'>): string =>
  qualifiedName({ schema: targetSchema, name: target })

/** The moved tables that exist, with their partitions: a statement on a partition fires no trigger of the table above it. */
const relationsOf = async (client: pg.Client, plan: MovePlan): Promise<readonly string[]> => {
  const { rows } = await client.query<{ name: string }>(
    `WITH RECURSIVE moved AS (
       SELECT to_regclass(name)::oid AS oid FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL
       UNION SELECT i.inhrelid FROM pg_inherits AS i JOIN moved ON moved.oid = i.inhparent)
     SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM moved JOIN pg_class AS c ON c.oid = moved.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') ORDER BY 1`,
    [plan.tables.map(nameOf)],
  )
  return rows.map(({ name }) => name)
}

/**
 * Refuses writes from the end of the caller's transaction on; waits for writers that are not done, each table's as long as the session's
 * lock_timeout says. Once more does no harm.
 */
export const refuseWrites = async (client: pg.Client, plan: MovePlan): Promise<void> => {
  const trigger = quoteIdentifier(triggerName)
  for (const table of await relationsOf(client, plan)) {
    await client.query(
      `CREATE OR REPLACE TRIGGER ${trigger} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table}
         FOR EACH STATEMENT EXECUTE FUNCTION tidemark.refuse_write(${quoteLiteral(plan.fileName)});
       ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${trigger}`,
    )
  }
}

/** Takes writes again from the end of the caller's transaction on. */
export const allowWrites = async (client: pg.Client, plan: MovePlan): Promise<void> => {
  for (const table of await relationsOf(client, plan)) {
    await client.query(`DROP TRIGGER IF EXISTS ${quoteIdentifier(triggerName)} ON ${table}`)
  }
}

/** Moved tables that any client may write to. */
export const unfencedTables = async (client: pg.Client, plan: MovePlan): Promise<readonly string[]> => {
  const { rows } = await client.query<{ name: string }>(
    `SELECT t.name FROM unnest($1::text[]) AS t(name)
      WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t.name::regclass AND tgname = $2 AND tgenabled = 'A') ORDER BY 1`,
    [await relationsOf(client, plan), triggerName],
  )
  return rows.map(({ name }) => name)
}
