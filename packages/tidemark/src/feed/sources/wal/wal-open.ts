import { TidemarkError } from '../../../errors.js'
import { connectPostgres } from '../../../postgres/driver/connect.js'
import { parseConnection } from '../../../postgres/driver/connection.js'
import { oldestMajor } from '../../../postgres/driver/version.js'
import { tableName } from '../../feed.js'
import { ensurePublication, publicationMembers } from '../../publication.js'
import { openPrimary, type Primary } from './primary.js'
import { noPublication, type Wanted } from './publication-watch.js'
import { connectReplication, type ReplicationConnection } from './replication-connection.js'
import { type Claim, claimSlot } from './slot-claim.js'
import { toFeedError } from './wal-error.js'
import type { ResolvedWalOptions } from './wal-options.js'

/** What is known from before. */
export interface OpenContext {
  readonly known: { readonly epoch: string; readonly lsn: bigint } | undefined
  readonly remake: boolean
  readonly ownPid: number | undefined
  readonly signal: AbortSignal
}

/** Both connections, and the slot; nothing streams yet. */
export interface Opened {
  readonly primary: Primary
  readonly connection: ReplicationConnection
  readonly claim: Claim
}

/** The names of the tables that are to be followed now; undefined for whatever is published. */
export const wantedTables = async ({ client }: Primary, { tables, alongside }: ResolvedWalOptions): Promise<Wanted> => {
  if (tables === 'published') return undefined
  const also = alongside === undefined ? [] : await publicationMembers(client, alongside)
  return new Set([...tables, ...also].map(tableName))
}

/** Makes the publication what it should be. */
const publish = async (options: ResolvedWalOptions): Promise<void> => {
  const { adminTarget, publication, tables, alongside, missingIdentity, clock, log } = options
  if (tables === 'published') return
  const client = await connectPostgres({ ...adminTarget, name: 'feed publication' })
  try {
    const changes = await ensurePublication(client, { name: publication, tables, alongside, missingIdentity, clock })
    if (!changes.settled) log.warn('a transaction that began before its table was followed is given in part', { publication })
  } catch (error) {
    throw toFeedError(error, { target: adminTarget, slot: '' }, true)
  } finally {
    await client.end()
  }
}

const check = async ({ client, facts }: Primary, { target, publication }: ResolvedWalOptions): Promise<void> => {
  const { name } = parseConnection(target.url, target)
  if (facts.major < oldestMajor) throw new TidemarkError('TM_POSTGRES_VERSION', { target: name, version: facts.major })
  // One that is about to be promoted will answer differently soon.
  if (facts.inRecovery) throw new TidemarkError('TM_POSTGRES_UNREACHABLE', { target: name, reason: 'the server is a standby' })
  if (facts.walLevel !== 'logical') throw new TidemarkError('TM_FEED_WAL_LEVEL', { target: name, level: facts.walLevel })
  const { rowCount } = await client.query('select from pg_publication where pubname = $1 and not puballtables', [publication])
  if (rowCount === 0) throw noPublication(publication)
}

/** Connects and claims the slot. Raises TM_FEED_* and TM_POSTGRES_*; nothing stays open then. */
export const openWal = async (options: ResolvedWalOptions, context: OpenContext): Promise<Opened> => {
  const { target, slot, walSenderTimeoutMs, slotTimeoutMs, busyTimeoutMs, clock } = options
  const name = `feed ${slot.name}`
  let primary: Primary | undefined
  let connection: ReplicationConnection | undefined
  try {
    await publish(options)
    primary = await openPrimary(target, name, clock)
    await check(primary, options)
    connection = await connectReplication({ target, name, walSenderTimeoutMs, clock })
    const claim = await claimSlot({
      ...context,
      primary,
      connection,
      slot,
      publication: options.publication,
      wanted: await wantedTables(primary, options),
      timeoutMs: slotTimeoutMs,
      busyTimeoutMs,
      clock,
    })
    return { primary, connection, claim }
  } catch (error) {
    await Promise.all([connection?.close(), primary?.close()])
    throw toFeedError(error, { target, slot: slot.name })
  }
}
