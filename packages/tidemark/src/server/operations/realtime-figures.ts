/** Who listens, and how much is told. */
import type { Sample } from '../../observability/observability.js'
import { isoText, type Pool } from '../../postgres/postgres.js'

export interface RealtimeServerView {
  readonly id: string
  readonly seenAt: string
  /** Clients whose place it keeps, so that they can come back to it. */
  readonly cursors: number
}

export interface RealtimeReport {
  /** Of this process: every figure of realtime that /metrics has, too. */
  readonly figures: readonly Sample[]
  /** That told of themselves in the last two minutes. */
  readonly servers: readonly RealtimeServerView[]
}

const serversSql = `
  select s.id, ${isoText('s.seen_at')} as "seenAt",
         (select count(*)::int from tidemark.realtime_cursors c where c.server = s.id) as cursors
    from tidemark.realtime_servers s where s.seen_at > now() - interval '2 minutes' order by s.seen_at desc limit 100`

const isFigure = ({ name }: Sample): boolean => name.startsWith('tidemark_realtime_') && !name.endsWith('_bucket')

export const realtimeReport = async (pool: Pool, samples: readonly Sample[]): Promise<RealtimeReport> => ({
  figures: samples.filter(isFigure),
  servers: (await pool.query<RealtimeServerView>(serversSql, [], { idempotent: true })).rows,
})
