import type pg from 'pg'
import { type ConnectOptions, connectPostgres } from '../../../postgres/driver/connect.js'
import { within } from '../../../postgres/pool/within.js'
import type { Clock } from '../../../time/clock.js'
import { parseLsn } from '../../position.js'
import { parseSnapshot, type Snapshot } from './snapshot.js'
import type { Sample } from './transaction-reader.js'

/** What the server tells of itself before a slot is asked for. */
export interface ServerFacts {
  readonly walLevel: string
  readonly databaseOid: number
  readonly inRecovery: boolean
  readonly major: number
  readonly segmentBytes: number
  readonly blockBytes: number
}

/** An ordinary session beside the stream: what can be seen, how far the log is, who blocks. */
export interface Primary {
  readonly client: pg.Client
  readonly facts: ServerFacts
  snapshot(): Promise<Snapshot>
  /** A moment before which every visible commit lies in the log before `lsn`, which is flushed. */
  sample(): Promise<Sample>
  /** Who keeps the server process waiting, as a sentence. */
  blockerOf(pid: number): Promise<string>
  /** Called once when the session ends without being asked to. */
  onLost(listener: (error: unknown) => void): void
  close(): Promise<void>
}

const factsSql = `
  select current_setting('wal_level') as "walLevel", pg_is_in_recovery() as "inRecovery",
         (select oid::int8::float8 from pg_database where datname = current_database()) as "databaseOid",
         current_setting('server_version_num')::int / 10000 as major,
         pg_size_bytes(current_setting('wal_segment_size'))::int as "segmentBytes",
         current_setting('wal_block_size')::int as "blockBytes"`

/** Bytes at the start of a page of WAL, and of the first page of a segment. */
const [shortHeader, longHeader] = [24n, 40n]

/**
 * Where the last record ends. The place for the next one may already be past the header of a page that holds nothing yet, and that header is
 * not flushed before something is written there: an idle feed would never reach it (soundness 14).
 */
export const recordEnd = (
  insertLsn: bigint,
  { segmentBytes, blockBytes }: Pick<ServerFacts, 'segmentBytes' | 'blockBytes'>,
): bigint => {
  if (insertLsn % BigInt(segmentBytes) === longHeader) return insertLsn - longHeader
  return insertLsn % BigInt(blockBytes) === shortHeader ? insertLsn - shortHeader : insertLsn
}

const blockerSql = `
  select b.pid, a.application_name as name, a.usename as user, extract(epoch from clock_timestamp() - a.xact_start)::int as age, left(a.query, 120) as query
    from unnest(pg_blocking_pids($1)) as b (pid) left join pg_stat_activity a on a.pid = b.pid`

interface Blocker {
  readonly pid: number
  readonly name: string | null
  readonly user: string | null
  readonly age: number | null
  readonly query: string | null
}

const blockerText = ({ pid, name, user, age, query }: Blocker): string => {
  if (pid === 0) return 'a prepared transaction is open (see pg_prepared_xacts)'
  const who = [user && `of ${user}`, name && `(${name})`].filter(Boolean).join(' ')
  const since = age === null ? '' : `, open for ${age} s`
  return `it waits for the transaction of server process ${pid} ${who}${since}${query ? `: ${query}` : ''}`
}

class PrimarySession implements Primary {
  readonly client: pg.Client
  readonly facts: ServerFacts
  readonly #clock: Clock
  #closing = false

  constructor(client: pg.Client, facts: ServerFacts, clock: Clock) {
    this.client = client
    this.facts = facts
    this.#clock = clock
  }

  async snapshot(): Promise<Snapshot> {
    const { rows } = await this.client.query<{ snapshot: string }>('select pg_current_snapshot()::text as snapshot')
    return parseSnapshot(rows[0]!.snapshot)
  }

  async sample(): Promise<Sample> {
    const asOf = this.#clock.monotonicMs()
    const { rows } = await this.client.query<{ flushed: string; inserted: string }>(
      'select pg_current_wal_insert_lsn() as inserted, pg_current_wal_flush_lsn() as flushed',
    )
    const flushed = parseLsn(rows[0]!.flushed)
    const inserted = recordEnd(parseLsn(rows[0]!.inserted), this.facts)
    if (inserted <= flushed) return { asOf, lsn: flushed }
    // A commit that did not wait for the disk is visible before it is flushed. A commit of our own that does wait takes it along; what else
    // is not flushed (an open transaction's changes) would keep an idle feed from a proof for as long as that stays open.
    await this.client.query(`select pg_logical_emit_message(true, 'tidemark', '')`)
    return { asOf, lsn: inserted }
  }

  async blockerOf(pid: number): Promise<string> {
    const { rows } = await this.client.query<Blocker>(blockerSql, [pid])
    return rows[0] ? blockerText(rows[0]) : 'the server is still looking for a point to begin at'
  }

  onLost(listener: (error: unknown) => void): void {
    let last: unknown
    this.client.on('error', (error) => {
      last ??= error
    })
    this.client.once('end', () => {
      if (!this.#closing) listener(last ?? new Error('Connection terminated unexpectedly'))
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    await within(this.#clock, 2_000, this.client.end())
  }
}

/** Opens the session. Raises TM_POSTGRES_*. */
export const openPrimary = async (target: ConnectOptions, name: string, clock: Clock): Promise<Primary> => {
  const client = await connectPostgres({ statementTimeoutMs: 60_000, ...target, name })
  try {
    // Our own flushes wait for this server's disk, and never for a standby.
    await client.query('set synchronous_commit = local; set default_transaction_read_only = off; set idle_session_timeout = 0')
    const { rows } = await client.query<ServerFacts>(factsSql)
    return new PrimarySession(client, rows[0]!, clock)
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }
}
