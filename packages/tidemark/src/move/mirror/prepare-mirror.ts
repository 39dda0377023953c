/** What a mirror needs in Postgres: a publication of the moved tables, old values where it must see them, and a slot that keeps every change. */
import type pg from 'pg'
import { dropPublication, ensurePublication } from '../../feed/publication.js'
import { setReplicaIdentity } from '../../feed/replica-identity.js'
import { withSlotLock } from '../../feed/slot-lock.js'
import { databaseOid, dropSlot, readSlot, slotName, takeOverSlot } from '../../feed/slots.js'
import { createWalSource, type WalSource } from '../../feed/sources/wal/wal-source.js'
import { quoteTable, type TableId } from '../../feed/table-id.js'
import { connectPostgres } from '../../postgres/driver/connect.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { introspect } from '../../sqlite/introspect.js'
import { openSqlite } from '../../sqlite/open.js'
import type { HeldRun } from '../live/live-run.js'
import { assertHeld } from '../live/record.js'
import { captureTablesOf } from '../log-key.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import type { MirrorOptions, PreparedMirror, PrepareMirrorOptions } from './mirror.js'
import { type MirrorTable, mirrorTable, needsFullIdentity } from './mirror-table.js'

const shortId = ({ run }: HeldRun): string => run.id.slice(0, 8)

/** The slot's own part of its name. */
const ownSlotName = (held: HeldRun): string => `mirror_${shortId(held)}`
/** The full name of the slot. */
const mirrorSlot = async (client: pg.Client, held: HeldRun): Promise<string> =>
  slotName(await databaseOid(client), ownSlotName(held))

export const publicationName = (held: HeldRun): string => `tidemark_mirror_${shortId(held)}`

/** Proofs of freshness come so often while a mirror runs: a rollback waits for one. */
const beatMs = 100
/** Small, since a piece is applied without a pause. */
const maxPieceBytes = 128 * 1024
/** A slow disk may keep the mirror from answering; who takes the move over takes the slot too, and need not wait for this. */
const walSenderTimeoutMs = 10_000

/** The feed of the moved tables from the mirror's own slot. What it gives is durable in the file when it is confirmed. */
export const mirrorSource = ({ held, target, feedTarget, clock }: MirrorOptions): WalSource =>
  createWalSource({
    target: feedTarget ?? target,
    adminTarget: target,
    slot: { name: ownSlotName(held) },
    publication: publicationName(held),
    tables: 'published',
    beatMs,
    maxPieceBytes,
    walSenderTimeoutMs,
    replayWindowMs: 0,
    ...(clock && { clock }),
  })

const noIds = { find: () => undefined }

/** The moved tables that are in the file, by the file as it is. */
export const readMirrorTables = ({ run }: HeldRun, ids = noIds as Parameters<typeof mirrorTable>[3]): readonly MirrorTable[] => {
  const file = openSqlite(run.path, { readonly: true, busyTimeoutMs: 5_000 })
  try {
    const { tables } = introspect(file.db)
    const captures = captureTablesOf(run.plan)
    return run.plan.tables.flatMap((plan, i) => {
      const table = tables.find(({ name }) => name === plan.source)
      return table ? [mirrorTable(plan, table, captures[i]!, ids)] : []
    })
  } finally {
    file.close()
  }
}

export const idOf = ({ plan }: Pick<MirrorTable, 'plan'>): TableId => ({ schema: plan.targetSchema, table: plan.target })

interface Changed extends TableId {
  /** How it was, as the words after REPLICA IDENTITY. */
  readonly before: string
}

const identitiesSql = `
  WITH RECURSIVE family (oid) AS (
    SELECT to_regclass($1)::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN family f ON f.oid = i.inhparent)
  SELECT n.nspname AS schema, c.relname AS table,
         CASE c.relreplident WHEN 'd' THEN 'DEFAULT' WHEN 'n' THEN 'NOTHING'
              ELSE 'USING INDEX ' || quote_ident((SELECT x.relname FROM pg_index k JOIN pg_class x ON x.oid = k.indexrelid
                                                    WHERE k.indrelid = c.oid AND k.indisreplident)) END AS before
    FROM family f JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relreplident <> 'f'`

const noteIdentities = async (client: pg.Client, { run }: HeldRun, changed: readonly Changed[]): Promise<void> => {
  if (changed.length === 0) return
  await client.query(
    `UPDATE tidemark.move_runs
        SET report = jsonb_set(report, '{mirrorIdentities}', coalesce(report -> 'mirrorIdentities', '[]') || $2::jsonb) WHERE id = $1`,
    [run.id, JSON.stringify(changed)],
  )
}

/** Sets REPLICA IDENTITY FULL where the mirror needs it, and notes with the run how it was, in one transaction. */
const widenIdentities = async (client: pg.Client, held: HeldRun, tables: readonly MirrorTable[]): Promise<void> => {
  await client.query("BEGIN; SET LOCAL lock_timeout = '5s'")
  try {
    await assertHeld(client, held)
    const changed: Changed[] = []
    for (const table of tables.filter(needsFullIdentity)) {
      const { rows } = await client.query<Changed>(identitiesSql, [quoteTable(idOf(table))])
      for (const found of rows) {
        await setReplicaIdentity(client, found, 'full')
        changed.push(found)
      }
    }
    await noteIdentities(client, held, changed)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/**
 * Makes publication, replica identities and slot, each where it is missing, so that from the answered position on no change is lost. Before
 * the pause of a cutover, since a slot waits for transactions that are open. Raises TM_FEED_*, TM_MOVE_FENCED.
 */
export const prepareMirror = async (options: PrepareMirrorOptions): Promise<PreparedMirror> => {
  const { held, target, signal } = options
  const client = await connectPostgres({ ...target, name: 'mirror setup' })
  try {
    const tables = readMirrorTables(held)
    // Of an earlier cutover, after which the file was the truth again.
    await client.query('DELETE FROM tidemark.move_narrowed WHERE run_id = $1', [held.run.id])
    await widenIdentities(client, held, tables)
    signal?.throwIfAborted()
    const publication = publicationName(held)
    const { identified } = await ensurePublication(client, { name: publication, tables: tables.map(idOf) })
    await noteIdentities(
      client,
      held,
      identified.map((table) => ({ ...table, before: 'DEFAULT' })),
    )
    signal?.throwIfAborted()
    const source = mirrorSource(options)
    try {
      const position = await source.open()
      return { slotName: await mirrorSlot(client, held), publication, position }
    } finally {
      await source.stop()
    }
  } finally {
    await client.end()
  }
}

/** No such table or index any more, or it is not ours: there is nothing to put back. */
const isGone = (error: unknown): boolean => /^(?:42P01|42704|3F000)$/.test(sqlstateOf(error) ?? '')

const putBackIdentities = async (client: pg.Client, { run }: HeldRun): Promise<void> => {
  const { rows } = await client.query<{ changed: Changed[] | null }>(
    "SELECT report -> 'mirrorIdentities' AS changed FROM tidemark.move_runs WHERE id = $1",
    [run.id],
  )
  for (const { schema, table, before } of rows[0]?.changed ?? []) {
    const name = `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`
    await client.query(`ALTER TABLE ${name} REPLICA IDENTITY ${before}`).catch((error: unknown) => {
      if (!isGone(error)) throw error
    })
  }
  await client.query("UPDATE tidemark.move_runs SET report = report - 'mirrorIdentities' WHERE id = $1", [run.id])
}

/** Ends whoever reads the mirror's slot, so that this process can. */
export const takeMirrorSlot = async ({ held, target, feedTarget = target, clock }: PrepareMirrorOptions): Promise<void> => {
  const client = await connectPostgres({ ...feedTarget, name: 'mirror setup' })
  try {
    await takeOverSlot(client, await mirrorSlot(client, held), clock ? { clock } : {})
  } finally {
    await client.end()
  }
}

/** As the role that made it: another may neither end its reader nor drop it. */
const dropMirrorSlot = async (client: pg.Client, name: string): Promise<void> => {
  if (await readSlot(client, name)) await takeOverSlot(client, name)
  await dropSlot(client, name)
}

/**
 * Takes away what {@link prepareMirror} made, whoever reads the slot; what is gone already does no harm. A reader that comes again meanwhile is kept
 * out, and after it finds no publication: it would make the slot anew, for nobody.
 */
export const dropMirror = async ({ held, target, feedTarget = target, clock }: PrepareMirrorOptions): Promise<void> => {
  const reader = await connectPostgres({ ...feedTarget, name: 'mirror setup' })
  try {
    const client = await connectPostgres({ ...target, name: 'mirror setup' })
    try {
      await client.query("SET lock_timeout = '5s'")
      const slot = await mirrorSlot(reader, held)
      const drop = async (): Promise<void> => {
        await dropMirrorSlot(reader, slot)
        await dropPublication(client, publicationName(held))
      }
      await withSlotLock(reader, slot, drop, clock ? { clock } : {})
      await putBackIdentities(client, held)
    } finally {
      await client.end()
    }
  } finally {
    await reader.end()
  }
}
