import type { Pool } from '../../../postgres/postgres.js'
import type { Clock } from '../../../time/clock.js'
import { abandonedLine, appendLine } from '../runs/attempt-log.js'
import { type HeldEvent, type HeldRow, heldColumns, heldFromRow } from '../runs/held-event.js'
import type { Queue, Reading } from './queue.js'

export interface RowQueueOptions {
  readonly pool: Pool
  readonly clock: Clock
  /** Resolves when somebody says that there is something to read, or after that long. */
  wait(ms: number): Promise<void>
}

const recoverPage = 500
/** How often Postgres is asked while nothing comes. */
const napMs = 150

const byPartition = (events: readonly HeldEvent[]): readonly Reading[] => {
  const readings = new Map<number, HeldEvent[]>()
  for (const event of events) {
    const list = readings.get(event.partition) ?? []
    readings.set(event.partition, list)
    list.push(event)
  }
  return [...readings].map(([partition, list]) => ({ partition, events: list }))
}

/** Events that wait as rows: where there is no Redis. What a worker has taken is `processing`, as if it stood in a pending list. */
export const createRowQueue = ({ pool, clock, wait }: RowQueueOptions): Queue => {
  const nothing = async (): Promise<void> => undefined
  /** Under which epoch a partition was read last. */
  const epochs = new Map<number, string>()

  const take = (owned: ReadonlyMap<number, string>, count: number): Promise<readonly HeldRow[]> =>
    pool.transaction(async (db) => {
      // Who lost a partition takes nothing of it any more.
      const { rows: mine } = await db.query<{ partition: number }>(
        `select partition from tidemark.webhook_partitions join unnest($1::smallint[], $2::bigint[]) as own(number, era)
             on partition = number and epoch = era for share of webhook_partitions`,
        [[...owned.keys()], [...owned.values()]],
        { name: 'hooks owned' },
      )
      if (mine.length === 0) return []
      const { rows } = await db.query<HeldRow>(
        `with taken as (
           update public.webhook_events event set status = 'processing'
             from (select id from public.webhook_events
                    where partition = any ($1::smallint[]) and status = 'accepted' and next_attempt_at is null
                    order by seq limit $2 for update skip locked) as next
            where event.id = next.id
            returning event.*)
         select ${heldColumns} from taken order by seq`,
        [mine.map(({ partition }) => partition), count],
        { name: 'hooks take' },
      )
      return rows
    })

  return {
    kind: 'rows',
    isMissing: async () => false,
    create: nothing,
    strip: nothing,
    interrupt: nothing,
    // What waits as rows of parked lanes says it in its row; what was taken besides is `processing`.
    begun: async (_partition, events, isStored) => {
      if (!isStored) return
      await pool.query(
        'update public.webhook_events set claims = 1 where id = any ($1::uuid[]) and claims = 0',
        [events.map(({ id }) => id)],
        { name: 'hooks begun' },
      )
    },
    notBegun: async (_partition, events) => {
      await pool.query('update public.webhook_events set claims = 0 where id = any ($1::uuid[]) and claims = 1', [
        events.map(({ id }) => id),
      ])
    },
    unended: async () => [],
    forget: nothing,
    recover: async function* (partition, { lostBy }) {
      if (lostBy !== undefined) {
        // What it had taken, and what it ran of parked lanes.
        await pool.query(
          `update public.webhook_events set ${appendLine(abandonedLine('$2'))}
            where partition = $1 and status in ('accepted', 'processing', 'failed')
              and case when next_attempt_at is null then status = 'processing' else claims > 0 end`,
          [partition, lostBy],
        )
      }
      for (let after = '0'; ; ) {
        const { rows } = await pool.query<HeldRow & { seq: string }>(
          `select ${heldColumns}, seq from public.webhook_events
            where partition = $1 and status = 'processing' and next_attempt_at is null and seq > $2 order by seq limit $3`,
          [partition, after, recoverPage],
        )
        if (rows.length > 0) yield rows.map((row) => heldFromRow(row, lostBy === undefined ? 0 : 1))
        if (rows.length < recoverPage) return
        after = String(rows.at(-1)!.seq)
      }
    },
    read: async (owned, count, waitMs) => {
      if (owned.size === 0) return []
      for (const [partition, epoch] of owned) epochs.set(partition, epoch)
      const rows = await take(owned, count)
      if (rows.length === 0) await wait(Math.min(waitMs, napMs))
      return byPartition(rows.map((row) => heldFromRow(row)))
    },
    settle: nothing,
    putOff: nothing,
    bury: nothing,
    due: async () => [],
    tend: nothing,
    backlog: async (partition) => {
      const { rows } = await pool.query<{ events: number; held: number; since: number | null }>(
        `select count(*)::int as events, (count(*) filter (where status = 'processing'))::int as held,
                (extract(epoch from min(received_at)) * 1000)::float8 as since
           from public.webhook_events
          where partition = $1 and status in ('accepted', 'processing') and next_attempt_at is null`,
        [partition],
      )
      const { events, held, since } = rows[0]!
      return { events, pending: held, oldestMs: since === null ? 0 : Math.max(0, clock.now() - since) }
    },
    oldest: async () => undefined,
    // What was taken and did not begin waits as if it had never been taken, for whoever comes next: that may read streams.
    leave: async (partition) => {
      await pool.query(
        `update public.webhook_events set status = 'accepted'
          where partition = $1 and status = 'processing' and next_attempt_at is null
            and exists (select from tidemark.webhook_partitions where webhook_partitions.partition = $1 and epoch = $2)`,
        [partition, epochs.get(partition) ?? null],
      )
    },
    stop: nothing,
  }
}
