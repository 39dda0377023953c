import type { TidemarkConfig } from '../../config/config.js'
import { reasonOf } from '../../errors.js'
import { tableName } from '../../feed/feed.js'
import type { FollowTables } from '../../realtime/changes/keep/told-tables.js'
import type { Runtime } from '../runtime.js'
import { feedPublication, sourceKind } from './feed-sources.js'

/** Makes the feed of a server carry tables while it runs, as their owner: whichever node reads, it gives them from then on. */
export const followTablesOf = (config: TidemarkConfig, runtime: Pick<Runtime, 'database'>): FollowTables => {
  let kind: ReturnType<typeof sourceKind> | undefined
  return async (tables, refused) => {
    const { database } = runtime
    kind ??= sourceKind(config, database)
    kind.catch(() => {
      kind = undefined
    })
    const source = await kind
    if (source === 'supabase') {
      const carried = new Set([...config.feed.tables, ...config.realtime.tables])
      for (const table of tables) {
        if (!carried.has(tableName(table))) refused(table, 'Supabase tells of tables that are named in realtime.tables alone')
      }
      return []
    }
    const { connectPostgres } = await import('../../postgres/postgres.js')
    const client = await connectPostgres({ ...database.target, name: 'realtime tables' })
    try {
      if (source === 'wal') {
        const { addToPublication } = await import('../../feed/publication.js')
        const name = feedPublication(config)
        return await addToPublication(client, { name, tables }, (table, error) => refused(table, reasonOf(error)))
      }
      const { installOutbox, outboxTables } = await import('../../feed/sources/outbox/install-outbox.js')
      const installed = new Set((await outboxTables(client)).map(tableName))
      const added = tables.filter((table) => !installed.has(tableName(table)))
      const begun: typeof added = []
      for (const table of added) {
        await installOutbox(client, [table]).then(
          () => begun.push(table),
          (error: unknown) => refused(table, reasonOf(error)),
        )
      }
      return begun
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
