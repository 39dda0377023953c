/** Who stands in the way of a lock on the moved tables. */
import type pg from 'pg'
import type { MovePlan } from '../move.js'
import { qualifiedName } from '../translate/translate.js'

/** Sessions with locks on the moved tables, the longest transaction first, as people read them; nobody's query text, which may hold values. */
export const blockersOf = async (client: pg.Client, plan: MovePlan): Promise<readonly string[]> => {
  const { rows } = await client.query<{ blocker: string }>(
    `SELECT DISTINCT ON (a.xact_start, a.pid)
            format('pid %s%s (%s for %s s, on %s)', a.pid, coalesce(' ' || nullif(a.application_name, ''), ''), coalesce(a.state, 'working'),
                   coalesce(round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 1), 0), l.relation::regclass) AS blocker
       FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
      WHERE l.locktype = 'relation' AND l.granted AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.relation IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
      ORDER BY a.xact_start, a.pid LIMIT 10`,
    [plan.tables.map(({ targetSchema, target }) => qualifiedName({ schema: targetSchema, name: target }))],
  )
  return rows.map(({ blocker }) => blocker)
}
