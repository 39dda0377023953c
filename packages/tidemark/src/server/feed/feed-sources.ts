import type { TidemarkConfig } from '../../config/config.js'
import { reasonOf, TidemarkError } from '../../errors.js'
import type { FanOut, FeedSources } from '../../feed/fan-out/fan-out.js'
import { tableName } from '../../feed/feed.js'
import { tableIdOf } from '../../feed/table-id.js'
import type { Logger } from '../../observability/observability.js'
import type { Database } from '../database/database.js'
import type { Runtime } from '../runtime.js'

interface Rights {
  readonly walLevel: string
  readonly replication: boolean
}

/** Whether the feed's login may read the write-ahead log. */
const mayReadLog = async ({ urls, target }: Database): Promise<boolean> => {
  const { connectPostgres } = await import('../../postgres/postgres.js')
  const client = await connectPostgres({ ...target, url: urls.feed, name: 'feed rights' })
  try {
    const { rows } = await client.query<Rights>(
      `select current_setting('wal_level') as "walLevel", rolreplication or rolsuper as replication from pg_roles where rolname = current_user`,
    )
    return rows[0]?.walLevel === 'logical' && rows[0].replication
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The kind of source that a project reads: what was asked for, or the log where it may be read. */
export const sourceKind = async (config: TidemarkConfig, database: Database): Promise<'wal' | 'outbox' | 'supabase'> => {
  const { source } = config.feed
  if (source !== 'auto') return source
  return (await mayReadLog(database)) ? 'wal' : 'outbox'
}

/** Supabase tells each subscriber by itself, so nodes share nothing. */
export const openSupabase = async ({ config, tables, log }: Omit<FeedSourcesInput, 'runtime'>): Promise<FanOut> => {
  const [{ createSoloFanOut }, { createSupabaseSource }] = await Promise.all([
    import('../../feed/fan-out/solo-fan-out.js'),
    import('../../feed/sources/supabase/supabase-source.js'),
  ])
  const { url, serviceRoleKey: key } = config.supabase
  if (url === undefined || key === undefined) {
    throw new TidemarkError('TM_CONFIG_MISSING', {
      option: url === undefined ? 'SUPABASE_URL' : 'SUPABASE_SERVICE_ROLE_KEY',
      fix: 'feed.source is supabase, which needs both of them.',
    })
  }
  return createSoloFanOut({
    source: () => createSupabaseSource({ url, key, tables: tables.map(tableIdOf), log }),
    problem: 'Supabase Realtime tells changes at most once, and proves no freshness',
    log,
  })
}

export interface FeedSourcesInput {
  readonly config: TidemarkConfig
  readonly runtime: Pick<Runtime, 'database' | 'pools'>
  readonly tables: readonly string[]
  /** A publication of the application, whose tables are followed as well. */
  readonly alongside?: string | undefined
  readonly log: Logger
}

const openOutbox = async ({ config, runtime, tables, alongside, log }: FeedSourcesInput): Promise<FeedSources> => {
  const [{ outboxSources }, { publicationMembers }, { installOutbox }, { connectPostgres }] = await Promise.all([
    import('../../feed/fan-out/outbox-sources.js'),
    import('../../feed/publication.js'),
    import('../../feed/sources/outbox/install-outbox.js'),
    import('../../postgres/postgres.js'),
  ])
  const { database, pools } = runtime
  const ids = tables.map(tableIdOf)
  let installed = false
  const install = async (): Promise<void> => {
    if (installed) return
    const client = await connectPostgres({ ...database.target, name: 'feed outbox' })
    try {
      await installOutbox(client, ids)
      for (const table of alongside === undefined ? [] : await publicationMembers(client, alongside)) {
        // It is the application's list: one that cannot be followed is told about by whoever asks for it.
        await installOutbox(client, [table]).catch((error: unknown) => {
          log.warn('a table of the publication cannot be followed', { table: tableName(table), reason: reasonOf(error) })
        })
      }
      installed = true
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  const { maxSilenceMs, slotName: name } = config.feed
  const listen = { ...database.target, url: database.urls.app }
  // Tables that are put into the publication later are given as soon as they are in the outbox.
  const given = alongside === undefined ? ids : 'installed'
  return outboxSources({ pool: pools.primary, tables: given, name, maxSilenceMs, install, listen, log })
}

/** The feed's own publication. */
export const feedPublication = ({ feed }: TidemarkConfig): string => `tidemark_${feed.slotName}`

const openWal = async ({ config, runtime, tables, alongside, log }: FeedSourcesInput): Promise<FeedSources> => {
  const { walSources } = await import('../../feed/fan-out/wal-sources.js')
  const { target, urls } = runtime.database
  const { slotName, maxSilenceMs } = config.feed
  return walSources({
    target: { ...target, url: urls.feed },
    adminTarget: target,
    slotName,
    publication: feedPublication(config),
    tables: tables.map(tableIdOf),
    alongside,
    maxSilenceMs,
    log,
  })
}

/** How the server comes to its changes. Raises what reaching Postgres raises. */
export const openFeedSources = async (input: FeedSourcesInput): Promise<FeedSources> =>
  (await sourceKind(input.config, input.runtime.database)) === 'outbox' ? openOutbox(input) : openWal(input)
