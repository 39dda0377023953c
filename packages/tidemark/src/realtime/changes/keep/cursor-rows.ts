import { formatPosition, type Position, parsePosition } from '../../../feed/position.js'
import type { Pool } from '../../../postgres/postgres.js'
import { arrayLiteral } from '../filters/filter-sql.js'

/** What is kept of one place. */
export interface CursorRow {
  readonly key: string
  readonly member: string
  readonly position: Position
  /** The highest number that its client had given to a message, as far as it is known; 0: unknown. */
  readonly number: number
  /** Its socket has ended, and its client may come back. */
  readonly cut: boolean
}

export interface FoundCursor extends CursorRow {
  /** Of the server that holds it, while that is there. */
  readonly server: string | undefined
}

/** No place: whoever is there has something to be told, but nobody knows what. */
export const nowhere: Position = { epoch: '', number: 0n }

const isNowhere = ({ epoch }: Position): boolean => epoch === ''

const writeSql = `
  with gone as (
    delete from tidemark.realtime_cursors as c using unnest($8::text[], $9::uuid[]) as g (k, m) where c.key = g.k and c.member = g.m),
  given as (
    select * from unnest($2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::bool[], $7::bool[]) as u (k, m, p, n, c, is_new)),
  known as (
    update tidemark.realtime_cursors as c set position = p, number = n, cut = given.c, seen_at = now()
      from given where c.key = k and c.member = m and not is_new)
  insert into tidemark.realtime_cursors (key, member, server, position, number, cut, seen_at)
  select k, m, $1::uuid, p, n, c, now() from given where is_new
  on conflict (key, member) do update
    set position = excluded.position, number = excluded.number, cut = excluded.cut, seen_at = excluded.seen_at`
// While Postgres was not there nobody could beat.
const findSql = `
  select c.key, c.member::text, c.position, c.number::text, c.cut, s.id::text as server,
         c.seen_at < now() - make_interval(secs => $2::float8 / 1000) as late
    from tidemark.realtime_cursors c
    left join tidemark.realtime_servers s on s.id = c.server
     and greatest(s.seen_at, pg_postmaster_start_time()) >= now() - make_interval(secs => $4::float8 / 1000)
   where c.key = any ($1::text[]) and c.seen_at >= now() - make_interval(secs => $3::float8 / 1000)`
const forgetSql = 'delete from tidemark.realtime_cursors where seen_at < now() - make_interval(secs => $1::float8 / 1000)'

interface Row {
  readonly key: string
  readonly member: string
  readonly position: string
  readonly number: string
  readonly cut: boolean
  readonly server: string | null
  readonly late: boolean
}

const idempotent = { idempotent: true } as const

export interface WrittenCursor extends CursorRow {
  /** False: where its row is no more it is left at that. */
  readonly mayBeNew: boolean
}

/** Writes places of one server, and takes out others, together. */
export const writeCursors = async (
  pool: Pick<Pool, 'query'>,
  server: string,
  rows: readonly WrittenCursor[],
  gone: readonly Pick<CursorRow, 'key' | 'member'>[],
): Promise<void> => {
  const columns = [
    rows.map(({ key }) => key),
    rows.map(({ member }) => member),
    rows.map(({ position }) => (isNowhere(position) ? '' : formatPosition(position))),
    rows.map(({ number }) => String(number)),
    rows.map(({ cut }) => String(cut)),
    rows.map(({ mayBeNew }) => String(mayBeNew)),
    gone.map(({ key }) => key),
    gone.map(({ member }) => member),
  ]
  await pool.query(writeSql, [server, ...columns.map(arrayLiteral)], idempotent)
}

export interface FindCursors {
  readonly keys: readonly string[]
  /** For so long a place counts. */
  readonly keptMs: number
  /** For so long it is known that there was one. */
  readonly knownMs: number
  /** A server that is silent for longer is gone. */
  readonly silentMs: number
}

/** The places that are remembered under some keys; nowhere, where one has been kept for too long. */
export const findCursors = async (pool: Pick<Pool, 'query'>, find: FindCursors): Promise<readonly FoundCursor[]> => {
  const { keys, keptMs, knownMs, silentMs } = find
  const { rows } = await pool.query<Row>(findSql, [arrayLiteral(keys), keptMs, knownMs, silentMs], idempotent)
  return rows.map(({ key, member, position, number, cut, server, late }) => ({
    key,
    member,
    position: late || position === '' ? nowhere : parsePosition(position),
    number: Number(number),
    cut,
    server: server ?? undefined,
  }))
}

export const forgetCursors = async (pool: Pick<Pool, 'query'>, afterMs: number): Promise<void> => {
  await pool.query(forgetSql, [afterMs], idempotent)
}
