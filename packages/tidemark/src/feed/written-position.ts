import { type Position, parseLsn } from './position.js'

/** What asks for it: any connection to the primary. */
export interface PositionClient {
  query<R>(text: string): Promise<{ readonly rows: readonly R[] }>
}

/**
 * The end of what is durable after a commit has returned, which is not before that commit. Not the end of what was written: an idle feed need
 * not reach it, since a page's header may lie in between. Without a wait for the disk the commit may be behind what is durable.
 */
const endSql = `
  select case when current_setting('synchronous_commit') = 'off' then pg_current_wal_insert_lsn() else pg_current_wal_flush_lsn() end::text as lsn`

/** A position that no write which has returned is behind, in a history of the WAL. */
export const readWrittenPosition = async (client: PositionClient, epoch: string): Promise<Position> => {
  const { rows } = await client.query<{ lsn: string }>(endSql)
  // A position is that of a commit that begins there: every one before this end begins below it, and an idle feed comes no further.
  return { epoch, number: parseLsn(rows[0]!.lsn) - 1n }
}
