import { randomBytes } from 'node:crypto'
import { TidemarkError } from '../../../errors.js'
import type { Client } from '../../../postgres/postgres.js'
import { sqlstateOf } from '../../../postgres/postgres-error.js'
import type { Position } from '../../position.js'
import { lostTablesSql } from './install-outbox.js'
import type { OutboxPool } from './outbox.js'
import type { OutboxRow } from './outbox-shape.js'

/** A batch: what `snapshot` sees and `from` does not. Its transactions have the numbers from `first` to `last`, in order. */
export interface Tick {
  readonly from: string
  readonly snapshot: string
  readonly first: bigint
  readonly last: bigint
}

/** One transaction of a batch. */
export interface OutboxTransaction {
  readonly xid: string
  /** The largest id of its rows, which gives its place: whoever came after it on a common row wrote later. */
  readonly top: string
  readonly rows: number
  readonly bytes: number
  readonly changedAt: Date
  /** Transactions of the batch from this one on. */
  readonly remaining: number
}

/** What is kept of a reader. */
export interface ReaderState {
  readonly epoch: string
  readonly confirmed: bigint
  /** Given before and not confirmed, oldest first. */
  readonly ticks: readonly Tick[]
  /** Where the next batch begins. */
  readonly snapshot: string
  readonly newHistory: boolean
}

interface StateRow {
  readonly incarnation: string
  readonly history: string
  readonly tick: string
  readonly snapshot: string
  readonly ticks: readonly (readonly [string, string, string])[] | null
  /** Ids of tables by their names. */
  readonly tables: Readonly<Record<string, number>>
}

/** Some services do not let everybody ask for the control data; the database's id and the incarnation still are there. */
const controlSql = {
  allowed: `(select system_identifier from pg_control_system()) || '-' || (select timeline_id from pg_control_checkpoint())`,
  refused: `'0-0'`,
}
const historySql = (control: string): string =>
  `${control} || '-' || (select oid from pg_database where datname = current_database())`

/** A window of transactions: whole ones, since a snapshot sees all of a transaction or nothing. */
const windowSql = `o.xid >= pg_snapshot_xmin($1::pg_snapshot) and not pg_visible_in_snapshot(o.xid, $1::pg_snapshot)`

const newIncarnation = (): string => randomBytes(6).toString('hex')

const missingTables = (error: unknown): unknown =>
  ['42P01', '3F000', '42883'].includes(sqlstateOf(error) ?? '')
    ? new TidemarkError('TM_FEED_OUTBOX_MISSING', { missing: 'any table' }, { cause: error })
    : error

/** All that one reader of the outbox asks of the database. Nothing here outlives a transaction. */
export class OutboxReader {
  readonly #pool: OutboxPool
  readonly #name: string
  /** Who we are, for the lease. */
  readonly #holder = newIncarnation()
  #control = controlSql.allowed

  constructor(pool: OutboxPool, name: string) {
    this.#pool = pool
    this.#name = name
  }

  /** Makes the reader where it is missing: it begins at the present. */
  async register(): Promise<void> {
    try {
      const history = await this.#history()
      await this.#pool.query(
        `insert into tidemark.feed_outbox_readers (name, incarnation, history, snapshot)
         values ($1, $2, $3, pg_current_snapshot()) on conflict (name) do nothing`,
        [this.#name, newIncarnation(), history],
      )
      await this.#dropAliens()
    } catch (error) {
      throw missingTables(error)
    }
  }

  /** Takes the lease, or gives false while another process holds it. */
  async take(leaseMs: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update tidemark.feed_outbox_readers set holder = $2, seen_at = clock_timestamp()
        where name = $1 and (holder is null or holder = $2 or seen_at < clock_timestamp() - make_interval(secs => $3::float8 / 1000))`,
      [this.#name, this.#holder, leaseMs],
    )
    return rowCount === 1
  }

  /** Says that we are alive; false where somebody else has taken the lease. */
  async renew(): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      'update tidemark.feed_outbox_readers set seen_at = clock_timestamp() where name = $1 and holder = $2',
      [this.#name, this.#holder],
      { idempotent: true },
    )
    return rowCount === 1
  }

  async release(): Promise<void> {
    await this.#pool.query('update tidemark.feed_outbox_readers set holder = null where name = $1 and holder = $2', [
      this.#name,
      this.#holder,
    ])
  }

  /**
   * What is kept of the reader, who is to follow these tables, `schema.table` by their ids, from now on. A new history where the database is another, or
   * one of the tables. Raises TM_FEED_OUTBOX_MISSING where the reader was taken away.
   */
  async state(tables: ReadonlyMap<number, string>): Promise<ReaderState> {
    const present = await this.#history()
    const row = (await this.#read()) ?? (await this.#gone())
    const isReplaced = [...tables].some(([oid, name]) => (row.tables[name] ?? oid) !== oid)
    const isNew = row.history !== present || isReplaced
    if (isNew) await this.#beginAnew(row.history, present)
    await this.#note(tables)
    return stateOf(isNew ? ((await this.#read()) ?? (await this.#gone())) : row, isNew)
  }

  async #note(tables: ReadonlyMap<number, string>): Promise<void> {
    const ids = JSON.stringify(Object.fromEntries([...tables].map(([oid, name]) => [name, oid])))
    await this.#pool.query(
      'update tidemark.feed_outbox_readers set tables = tables || $2::jsonb where name = $1 and not tables @> $2::jsonb',
      [this.#name, ids],
    )
  }

  async #read(): Promise<StateRow | undefined> {
    const { rows } = await this.#pool.query<StateRow>(
      `select r.incarnation, r.history, r.tick::text, r.snapshot::text, r.tables,
              (select json_agg(json_build_array(t.first_tick::text, t.last_tick::text, t.snapshot::text) order by t.last_tick)
                 from tidemark.feed_outbox_ticks t where t.reader = r.name) as ticks
         from tidemark.feed_outbox_readers r where r.name = $1`,
      [this.#name],
      { idempotent: true },
    )
    return rows[0]
  }

  async #gone(): Promise<never> {
    throw new TidemarkError('TM_FEED_OUTBOX_MISSING', { missing: `the reader ${this.#name}` })
  }

  async #history(): Promise<string> {
    const ask = async () =>
      (await this.#pool.query<{ history: string }>(`select ${historySql(this.#control)} as history`, [], { idempotent: true }))
        .rows[0]
    try {
      return (await ask())?.history ?? ''
    } catch (error) {
      if (sqlstateOf(error) !== '42501' || this.#control === controlSql.refused) throw error
      this.#control = controlSql.refused
      return (await ask())?.history ?? ''
    }
  }

  /** What came since the last batch was not all caught: whoever follows has to know. */
  async breakOff(): Promise<void> {
    const { history } = (await this.#read()) ?? (await this.#gone())
    await this.#beginAnew(history, history)
  }

  /** The database was restored, promoted or copied: numbers and snapshots of before mean nothing. */
  async #beginAnew(before: string, present: string): Promise<void> {
    await this.#pool.transaction(async (client) => {
      const { rowCount } = await client.query(
        `update tidemark.feed_outbox_readers
            set incarnation = $4, history = $3, tick = 0, snapshot = pg_current_snapshot(), updated_at = now()
          where name = $1 and history = $2`,
        [this.#name, before, present, newIncarnation()],
      )
      if (rowCount === 1) await client.query('delete from tidemark.feed_outbox_ticks where reader = $1', [this.#name])
    })
    await this.#dropAliens()
  }

  /** Rows of transactions that this server has yet to begin came with a copy of another's data, and would be seen one day. */
  async #dropAliens(): Promise<void> {
    await this.#pool.query('delete from tidemark.feed_outbox where xid >= pg_snapshot_xmax(pg_current_snapshot())')
  }

  /**
   * The transactions since `from` that can be seen now, the first `limit` of them, the snapshot that sees them, and which of the tables are lost,
   * see `lostTablesSql`. One statement: its own snapshot is the one that it tells.
   */
  async since(
    from: string,
    limit: number,
    tables: ReadonlyMap<number, string>,
    areWanted: boolean,
  ): Promise<{
    readonly snapshot: string
    readonly transactions: readonly OutboxTransaction[]
    readonly lost: readonly string[]
  }> {
    const { rows } = await this.#pool.query<OutboxTransaction & { snapshot: string; lost: readonly string[] }>(
      `with present as materialized (select pg_current_snapshot() as snapshot, ${lostTablesSql('$3', '$4', '$5::boolean')} as lost),
            seen as (select o.xid::text, max(o.id)::text as top, count(*)::int as rows, sum(o.bytes)::float8 as bytes,
                            max(o.changed_at) as "changedAt", (count(*) over ())::int as remaining
                       from tidemark.feed_outbox o, present p
                      where ${windowSql} and pg_visible_in_snapshot(o.xid, p.snapshot)
                      group by o.xid order by max(o.id) limit $2)
       select p.snapshot::text, p.lost, s.* from present p left join seen s on true order by s.top::bigint`,
      [from, limit, [...tables.keys()], [...tables.values()], areWanted],
      { idempotent: true },
    )
    const { snapshot, lost } = rows[0]!
    return { snapshot, lost, transactions: rows.filter(({ xid }) => xid !== null) }
  }

  /** The same of a batch whose snapshot is known, after the transaction with the top row `after`. */
  async of({ from, snapshot }: Tick, after: string, limit: number): Promise<readonly OutboxTransaction[]> {
    const { rows } = await this.#pool.query<OutboxTransaction>(
      `select o.xid::text, max(o.id)::text as top, count(*)::int as rows, sum(o.bytes)::float8 as bytes,
              max(o.changed_at) as "changedAt", (count(*) over ())::int as remaining
         from tidemark.feed_outbox o
        where ${windowSql} and o.xid < pg_snapshot_xmax($2::pg_snapshot) and pg_visible_in_snapshot(o.xid, $2::pg_snapshot)
        group by o.xid having max(o.id) > $3 order by max(o.id) limit $4`,
      [from, snapshot, after, limit],
      { idempotent: true },
    )
    return rows
  }

  /**
   * Writes a batch down before any of it is given: given again after a crash it has to be the same. The commit also takes to the disk what the
   * batch saw. False where the lease was lost.
   */
  async begin({ snapshot, first, last }: Tick): Promise<boolean> {
    const { rowCount } = await this.#pool.transaction(
      (client) =>
        client.query(
          `with held as (update tidemark.feed_outbox_readers set seen_at = clock_timestamp() where name = $1 and holder = $2 returning name)
           insert into tidemark.feed_outbox_ticks (reader, first_tick, last_tick, snapshot) select name, $3, $4, $5 from held`,
          [this.#name, this.#holder, String(first), String(last), snapshot],
        ),
      { settings: { synchronous_commit: 'on' } },
    )
    return rowCount === 1
  }

  /** Rows of some transactions, each transaction's own in the order in which it made them. */
  async rows(xids: readonly string[]): Promise<readonly OutboxRow[]> {
    const { rows } = await this.#pool.query<OutboxRow>(
      `${rowSql} where o.xid = any($1::xid8[]) order by o.xid, o.statement, o.id`,
      [xids],
      { idempotent: true },
    )
    return rows
  }

  /** Rows of one transaction behind the one that came last: up to `limit`, and as many as fit `maxBytes`, one at least. */
  async page(xid: string, after: OutboxRow | undefined, limit: number, maxBytes: number): Promise<readonly OutboxRow[]> {
    const { rows } = await this.#pool.query<OutboxRow>(
      `${rowSql} where o.id = any(array(
         select id from (
           select id, sum(bytes) over (order by statement, id) - bytes as before
             from (select id, statement, bytes from tidemark.feed_outbox
                    where xid = $1::xid8 and (statement, id) > ($2, $3) order by statement, id limit $4) next
         ) sized where before < $5 or before is null))
       order by o.statement, o.id`,
      [xid, after?.statement ?? '0', after?.id ?? '0', limit, maxBytes],
      { idempotent: true },
    )
    return rows
  }

  /** Descriptions of shapes, by `relation:shape`. */
  async shapes(keys: readonly { readonly relation: string; readonly shape: string }[]): Promise<ReadonlyMap<string, string>> {
    const { rows } = await this.#pool.query<{ key: string; description: string }>(
      `select relation::int8 || ':' || shape as key, description from tidemark.feed_outbox_shapes
        where (relation, shape) in (select * from unnest($1::oid[], $2::bigint[]))`,
      [keys.map(({ relation }) => relation), keys.map(({ shape }) => shape)],
      { idempotent: true },
    )
    return new Map(rows.map(({ key, description }) => [key, description]))
  }

  /** Everything up to the number is done with; the next batch begins where the last one that is complete ended. */
  async confirm({ epoch, number }: Position): Promise<void> {
    await this.#pool.transaction(async (client) => {
      const { rowCount } = await client.query(
        `update tidemark.feed_outbox_readers r
            set tick = $3, updated_at = now(),
                snapshot = coalesce((select t.snapshot from tidemark.feed_outbox_ticks t
                                      where t.reader = r.name and t.last_tick <= $3 order by t.last_tick desc limit 1), r.snapshot)
          where name = $1 and holder = $2 and tick < $3 and 'outbox-' || history || '-' || incarnation = $4`,
        [this.#name, this.#holder, String(number), epoch],
      )
      if (rowCount !== 1) return
      await client.query('delete from tidemark.feed_outbox_ticks where reader = $1 and last_tick <= $2', [
        this.#name,
        String(number),
      ])
    })
  }

  /** Deletes up to `limit` rows that every reader is done with; gives how many. */
  async prune(limit: number): Promise<number> {
    const { rowCount } = await this.#pool.transaction((client: Client) =>
      client.query(
        `delete from tidemark.feed_outbox where ctid = any(array(
           select o.ctid from tidemark.feed_outbox o
            where o.xid < (select min(pg_snapshot_xmax(snapshot)::text::numeric)::text::xid8 from tidemark.feed_outbox_readers)
              and not exists (select from tidemark.feed_outbox_readers r where not pg_visible_in_snapshot(o.xid, r.snapshot))
            order by o.xid limit $1))`,
        [limit],
      ),
    )
    return rowCount ?? 0
  }

  /** Rows and transactions that wait, and what is confirmed. */
  async lag(): Promise<{
    readonly epoch: string
    readonly confirmed: bigint
    readonly rows: number
    readonly transactions: number
  }> {
    const row = (await this.#read()) ?? (await this.#gone())
    const { rows } = await this.#pool.query<{ rows: number; transactions: number }>(
      `select count(*)::int as rows, count(distinct o.xid)::int as transactions from tidemark.feed_outbox o where ${windowSql}`,
      [row.snapshot],
      { idempotent: true },
    )
    const { epoch, confirmed, ticks } = stateOf(row, false)
    // Part of the oldest batch may be confirmed already.
    const done = Number(confirmed - ((ticks[0]?.first ?? confirmed + 1n) - 1n))
    const { rows: waiting = 0, transactions = 0 } = rows[0] ?? {}
    return { epoch, confirmed, rows: waiting, transactions: transactions - done }
  }
}

// The columns of a result are texts: an order by their names would be one of texts.
const rowSql = `select id::text, xid::text, statement::text, relation::int8::text as relation, shape::text, kind::text,
                       old_row as "oldRow", new_row as "newRow" from tidemark.feed_outbox o`

const stateOf = (
  { incarnation, history, tick, snapshot, ticks }: Omit<StateRow, 'present'>,
  newHistory: boolean,
): ReaderState => {
  let from = snapshot
  const pending = (ticks ?? []).map(([first, last, next]) => {
    const one: Tick = { from, snapshot: next, first: BigInt(first), last: BigInt(last) }
    from = next
    return one
  })
  return { epoch: `outbox-${history}-${incarnation}`, confirmed: BigInt(tick), ticks: pending, snapshot: from, newHistory }
}
