/** The outbox of a project: for databases that give no replication slot. */
import { TidemarkError } from '../../errors.js'
import type { OutboxState } from '../../feed/sources/outbox/prune-outbox.js'
import { tableIdOf } from '../../feed/table-id.js'
import type { Project } from '../project/project.js'

export interface OutboxReport extends Omit<OutboxState, 'readers'> {
  /** Tables with its triggers, as `schema.table`. */
  readonly tables: readonly string[]
  readonly readers: readonly { readonly name: string; readonly rows: number; readonly seenAt: string }[]
}

type Outbox = typeof import('../../feed/sources/outbox/install-outbox.js') &
  typeof import('../../feed/sources/outbox/prune-outbox.js')
type Client = Awaited<ReturnType<typeof import('../../postgres/driver/connect.js')['connectPostgres']>>

/** As the migrator, who may put triggers on the project's tables. */
const withOutbox = <T>(project: Project, work: (client: Client, outbox: Outbox) => Promise<T>): Promise<T> =>
  project.withDatabase(undefined, async ({ target }) => {
    const [{ connectPostgres }, install, prune] = await Promise.all([
      import('../../postgres/postgres.js'),
      import('../../feed/sources/outbox/install-outbox.js'),
      import('../../feed/sources/outbox/prune-outbox.js'),
    ])
    const client = await connectPostgres({ ...target, name: 'feed outbox' })
    try {
      return await work(client, { ...install, ...prune })
    } finally {
      await client.end().catch(() => undefined)
    }
  })

const nameOf = ({ schema, table }: { readonly schema: string; readonly table: string }): string => `${schema}.${table}`

const reportOf = async (client: Client, { outboxState, outboxTables }: Outbox): Promise<OutboxReport> => {
  const { readers, ...state } = await outboxState(client)
  const tables = await outboxTables(client)
  const seen = readers.map(({ seenAt, ...reader }) => ({ ...reader, seenAt: seenAt.toISOString() }))
  return { tables: tables.map(nameOf), ...state, readers: seen }
}

/** What it is installed on, and what it holds for whom. */
export const feedOutbox = (project: Project): Promise<OutboxReport> => withOutbox(project, reportOf)

export interface InstalledOutbox {
  /** `always` is false where changes of replicating roles are not caught, since only a table's owner can ask for that. */
  readonly installed: readonly { readonly table: string; readonly always: boolean }[]
}

/** Puts the triggers on tables; without names on those of `feed.tables`. Raises TM_CLI_USAGE where there are none, TM_FEED_TABLE. */
export const feedInstallOutbox = (project: Project, names: readonly string[]): Promise<InstalledOutbox> => {
  const wanted = names.length > 0 ? names : project.config.feed.tables
  if (wanted.length === 0) {
    const reason = 'Name the tables, or set feed.tables.'
    throw new TidemarkError('TM_CLI_USAGE', { reason, command: 'tidemark feed outbox' })
  }
  return withOutbox(project, async (client, { installOutbox }) => {
    const installed = await installOutbox(client, wanted.map(tableIdOf))
    return { installed: installed.map(({ always, ...table }) => ({ table: nameOf(table), always })) }
  })
}

/** Takes the triggers off tables; without names off all of them, and then readers and what they did not read go as well. */
export const feedRemoveOutbox = (
  project: Project,
  names: readonly string[],
): Promise<{ readonly removed: readonly string[]; readonly rows: number }> =>
  withOutbox(project, async (client, outbox) => {
    const before = await reportOf(client, outbox)
    await outbox.removeOutbox(client, names.length > 0 ? names.map(tableIdOf) : 'all')
    if (names.length === 0) return { removed: before.tables, rows: before.rows }
    return { removed: before.tables.filter((table) => names.includes(table)), rows: 0 }
  })

/** Deletes what nobody waits for, having forgotten a reader that will not come back. Raises TM_CLI_USAGE where there is none of that name. */
export const feedPruneOutbox = (project: Project, forget: string | undefined): Promise<{ readonly pruned: number }> =>
  withOutbox(project, async (client, { outboxState, pruneOutbox, removeOutboxReader }) => {
    if (forget !== undefined) {
      const { readers } = await outboxState(client)
      const names = readers.map(({ name }) => name)
      if (!names.includes(forget)) {
        const reason = `No reader of the outbox is named ${forget} (${names.length > 0 ? `there is ${names.join(', ')}` : 'there is none'}).`
        throw new TidemarkError('TM_CLI_USAGE', { reason, command: 'tidemark feed outbox' })
      }
      await removeOutboxReader(client, forget)
    }
    return { pruned: await pruneOutbox(client) }
  })
