import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import {
  type Change,
  type FeedEvent,
  type Relation,
  type Row,
  type Source,
  type TransactionPiece,
  tableName,
} from '../../feed/feed.js'
import { formatPosition, type Position, parsePosition } from '../../feed/position.js'
import { parseWalEpoch } from '../../feed/sources/wal/wal-epoch.js'
import { type TableId, tableIdOf } from '../../feed/table-id.js'
import type { ConnectOptions } from '../../postgres/postgres.js'
import { sourceKind } from '../feed/feed-sources.js'
import type { OpenedRedis } from '../open-redis.js'
import type { Project } from '../project/project.js'

const table = z.string().regex(/^[^.,\s]+\.[^.,]+$/, { error: 'it is not schema.table' })

export const tailRequest = z.strictObject({
  /** Default: every table that has a key. */
  tables: z.array(table).min(1).optional(),
  /** As the feed wrote it. Only what Redis still keeps can be given again. */
  from: z.string().min(1).max(300).optional(),
})

export type TailRequest = z.output<typeof tailRequest>

/** One change as it is told to people and programs. */
export interface ToldChange {
  readonly type: 'change'
  readonly position: string
  readonly xid: string
  readonly committedAt: string
  readonly table: string
  readonly kind: Change['kind']
  /** Values that are not known (large and unchanged, or not part of the identity) are left out. */
  readonly old: Readonly<Record<string, string | null>> | null
  readonly new: Readonly<Record<string, string | null>> | null
  /** True for the last change of its transaction. */
  readonly last: boolean
}

export interface ToldReset {
  readonly type: 'reset'
  readonly reason: string
  readonly position: string
}

export type Told = ToldChange | ToldReset

export interface TailRun {
  readonly signal: AbortSignal
  /** The next change comes when this has resolved. */
  readonly onTold: (told: Told) => Promise<void> | void
  /** From now on nothing is missed. What was committed before it may not be told. */
  readonly onListening?: () => void
  /** Needed for `from`. */
  readonly redis: OpenedRedis | undefined
}

const record = ({ columns }: Relation, row: Row | null): ToldChange['new'] => {
  if (row === null) return null
  const known = columns.flatMap(({ name }, index) => {
    const value = row[index]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(known)
}

const toldOf = ({ position, xid, committedAt, last, changes }: TransactionPiece, change: Change, index: number): ToldChange => ({
  type: 'change',
  position: formatPosition(position),
  xid: String(xid),
  committedAt: committedAt.toISOString(),
  table: tableName(change.relation),
  kind: change.kind,
  old: record(change.relation, change.old),
  new: record(change.relation, change.new),
  last: last && index === changes.length - 1,
})

const tell = async (event: FeedEvent, wanted: ReadonlySet<string> | undefined, onTold: TailRun['onTold']): Promise<void> => {
  if (event.type === 'reset') {
    await onTold({ type: 'reset', reason: event.reason, position: formatPosition(event.position) })
    return
  }
  if (event.type === 'fresh') return
  for (const [index, change] of event.changes.entries()) {
    if (!wanted || wanted.has(tableName(change.relation))) await onTold(toldOf(event, change, index))
  }
}

/** Tables that can be published without harm: with a key, or an identity that somebody chose. */
const publishableSql = `
  select n.nspname as schema, c.relname as "table"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p') and c.relpersistence = 'p' and not c.relispartition
     and n.nspname not in ('auth', 'tidemark', 'supabase_migrations', 'information_schema') and n.nspname !~ '^pg_'
     and pg_has_role(c.relowner, 'usage')
     and (c.relreplident in ('f', 'i') or c.relkind = 'p'
          or (c.relreplident = 'd' and exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)))
   order by 1, 2`

const prefix = 'tidemark_tail_'

/** A publication for one tail. Whoever made it holds a lock; one without that lock was left behind. */
const withPublication = async <T>(
  target: ConnectOptions,
  tables: readonly string[] | undefined,
  fn: (publication: string, tables: readonly TableId[]) => Promise<T>,
): Promise<T> => {
  const [{ connectPostgres }, { dropPublication, ensurePublication }] = await Promise.all([
    import('../../postgres/postgres.js'),
    import('../../feed/publication.js'),
  ])
  const client = await connectPostgres({ ...target, name: 'feed tail' })
  const name = `${prefix}${randomBytes(6).toString('hex')}`
  try {
    const left = await client.query<{ name: string }>(
      `select pubname as name from pg_publication
        where starts_with(pubname, $1) and pg_try_advisory_lock(hashtextextended(pubname, 0))`,
      [prefix],
    )
    for (const one of left.rows) await dropPublication(client, one.name)
    await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [name])
    const wanted = tables?.map(tableIdOf) ?? (await client.query<TableId>(publishableSql)).rows
    if (wanted.length === 0) throw new TidemarkError('TM_FEED_TABLE', { table: 'any', reason: 'no table has a key' })
    await ensurePublication(client, { name, tables: wanted, missingIdentity: 'refuse' })
    return await fn(name, wanted)
  } finally {
    await dropPublication(client, name).catch(() => false)
    await client.end().catch(() => undefined)
  }
}

interface Listening {
  readonly from?: Position | undefined
  /** Resolves when nothing is missed from then on; left out where the first event says so. */
  readonly open?: () => Promise<unknown>
}

const follow = async (
  source: Source,
  { tables }: TailRequest,
  { signal, onTold, onListening }: TailRun,
  { from, open }: Listening,
): Promise<void> => {
  const wanted = tables && new Set(tables)
  const stop = (): void => void source.stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await open?.()
    if (open) onListening?.()
    let isListening = open !== undefined
    for await (const event of source.events(signal, from)) {
      if (!isListening) onListening?.()
      isListening = true
      await tell(event, wanted, onTold)
    }
  } finally {
    signal.removeEventListener('abort', stop)
    await source.stop()
  }
}

/** Of the present: a slot that lives as long as the tail. */
const tailLog = (project: Project, request: TailRequest, run: TailRun): Promise<void> =>
  project.withDatabase(undefined, async ({ target, urls }) => {
    const { createWalSource } = await import('../../feed/sources/wal/wal-source.js')
    await withPublication(target, request.tables, (publication) => {
      const source = createWalSource({
        target: { ...target, url: urls.feed },
        adminTarget: target,
        slot: { name: 'tail', temporary: true },
        publication,
        tables: 'published',
        start: 'now',
        log: project.log,
      })
      return follow(source, request, run, { open: () => source.open() })
    })
  })

/** A place in the log is the same for every slot of one history, so what one tail printed means something to the next. */
const within = (position: Position, epoch: string): Position => {
  const [given, present] = [parseWalEpoch(position.epoch), parseWalEpoch(epoch)]
  if (!given || !present) return position
  const { incarnation: _given, ...history } = given
  const { incarnation: _present, ...now } = present
  return JSON.stringify(history) === JSON.stringify(now) ? { epoch, number: position.number } : position
}

/** What the servers publish: from a position that Redis still keeps, or from now on. */
const tailStream = (project: Project, request: TailRequest, run: TailRun): Promise<void> =>
  project.withDatabase(undefined, async ({ target }) => {
    const position = request.from ?? 'now'
    const { redis: opened } = run
    if (opened?.redis.state !== 'up') throw new TidemarkError('TM_FEED_NOT_KEPT', { position, reason: 'there is no Redis' })
    const [{ connectPostgres }, { scopeOf }, { readCurrent }, { createStreamSource }, { resolveSettings }] = await Promise.all([
      import('../../postgres/postgres.js'),
      import('../../feed/fan-out/scope.js'),
      import('../../feed/fan-out/stream/stream-reading.js'),
      import('../../feed/fan-out/stream/stream-source.js'),
      import('../../feed/fan-out/fan-out-settings.js'),
    ])
    const client = await connectPostgres({ ...target, name: 'feed tail' })
    const { slotName, maxSilenceMs } = project.config.feed
    const scopes = await Promise.all(['wal', 'outbox'].map((kind) => scopeOf(client, `${kind}-${slotName}`))).finally(() =>
      client.end().catch(() => undefined),
    )
    const streams = await Promise.all(scopes.map(async (scope) => ({ scope, current: await readCurrent(opened.redis, scope) })))
    const found = streams.find(({ current }) => current !== undefined)
    if (!found?.current) throw new TidemarkError('TM_FEED_NOT_KEPT', { position, reason: 'no server publishes the feed' })
    const { scope, current } = found
    const settings = resolveSettings({ maxSilenceMs, redis: opened, log: project.log })
    const redis = await opened.connect('tidemark-feed-tail')
    const from = request.from === undefined ? undefined : within(parsePosition(request.from), current.epoch)
    await follow(createStreamSource({ redis, scope, settings, strict: from !== undefined }), request, run, { from })
  })

/**
 * Tells each change as it comes, until the signal. Raises TM_FEED_POSITION and TM_FEED_NOT_KEPT for a position that cannot be gone on from,
 * TM_FEED_TABLE and TM_FEED_IDENTITY for a table that cannot be followed, and what reaching Postgres raises.
 */
export const feedTail = async (project: Project, request: TailRequest, run: TailRun): Promise<void> => {
  if (request.from !== undefined) parsePosition(request.from)
  else if ((await project.withDatabase(undefined, (database) => sourceKind(project.config, database))) !== 'outbox')
    return tailLog(project, request, run)
  return tailStream(project, request, run)
}
