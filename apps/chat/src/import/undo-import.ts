/**
 * Takes one import back: chats that it made go, chats that it let grow get as short as they were. What somebody has done something with since stays,
 * and is told; so does what Redis does not have any more. Redis is not touched.
 */
import type { Pool } from 'tidemark'
import type { Db } from '../rows.js'
import { inTransaction } from './in-transaction.js'

/** Why a chat was left as it is. */
export const keptReasons = {
  changed_since: 'somebody has done something with it since',
  grown_since: 'a later import added to it: take that one back first',
  source_removed: 'Redis has it no more',
} as const

export type KeptReason = keyof typeof keptReasons

export interface UndoReport {
  readonly run: string
  readonly dryRun: boolean
  readonly chats: { removed: number; shortened: number; kept: number }
  readonly messages: { removed: number }
  /** The first 20. */
  readonly kept: { readonly key: string; readonly reason: KeptReason }[]
}

export interface ImportRun {
  readonly id: string
  readonly started_at: Date
  readonly finished_at: Date | null
  readonly undone_at: Date | null
  /** Chats of it that can still be taken back, or are kept. */
  readonly chats: number
}

/** No such import, or one of which nothing is known. */
class UndoRefused extends Error {}

/** The latest first. */
export const importRuns = async (db: Db): Promise<readonly ImportRun[]> => {
  const { rows } = await db.query<ImportRun>(
    `select r.id, r.started_at, r.finished_at, r.undone_at,
            (select count(*)::int from public.chat_import_blocks b where b.run_id = r.id) as chats
       from public.chat_import_runs r order by r.started_at desc, r.id limit 100`,
  )
  return rows
}

interface Block {
  readonly session_id: string
  readonly legacy_key: string
  readonly is_new: boolean
  readonly first_seq: string
  readonly last_seq: string
  readonly version_before: string | null
  readonly version: string
  readonly current: string
  readonly is_gone: boolean
  readonly has_later: boolean
}

const batch = 100
const mostExamples = 20
const firstId = '00000000-0000-0000-0000-000000000000'

const blocksAfter = async (db: Db, run: string, last: string, isDryRun: boolean): Promise<readonly Block[]> => {
  const { rows } = await db.query<Block>(
    `select b.session_id, s.legacy_key, b.is_new, b.first_seq::text, b.last_seq::text, b.version_before::text, b.version::text,
            s.version::text as current, b.source_removed_at is not null as is_gone,
            exists (select from public.chat_import_blocks l where l.session_id = b.session_id and l.run_id <> b.run_id and l.version > b.version)
              as has_later
       from public.chat_import_blocks b join public.chat_sessions s on s.id = b.session_id
      where b.run_id = $1 and b.session_id > $2 order by b.session_id limit ${batch} ${isDryRun ? '' : 'for update of s'}`,
    [run, last],
  )
  return rows
}

const keptFor = ({ is_gone, has_later, version, current }: Block): KeptReason | undefined => {
  if (is_gone) return 'source_removed'
  if (has_later) return 'grown_since'
  return version === current ? undefined : 'changed_since'
}

const removeChats = (db: Db, blocks: readonly Block[]): Promise<unknown> =>
  db.query('delete from public.chat_sessions where id = any($1)', [blocks.map(({ session_id }) => session_id)])

/** The numbers are free again, and the block of the import before it knows the chat as it is now. */
const shorten = async (db: Db, run: string, block: Block): Promise<void> => {
  const { session_id: id, first_seq: first, last_seq: last, version_before: before } = block
  await db.query('delete from public.chat_messages where session_id = $1 and seq between $2 and $3', [id, first, last])
  await db.query(
    `update public.chat_sessions s
        set next_seq = $2, last_message_at = (select max(m.created_at) from public.chat_messages m where m.session_id = s.id)
      where s.id = $1`,
    [id, first],
  )
  await db.query('delete from public.chat_import_blocks where run_id = $1 and session_id = $2', [run, id])
  await db.query(
    `update public.chat_import_blocks b set version = s.version from public.chat_sessions s
      where s.id = $1 and b.session_id = s.id and b.version = $2`,
    [id, before],
  )
}

const undoBlocks = async (db: Db, run: string, blocks: readonly Block[]): Promise<void> => {
  await db.query("select set_config('chat.undo_import', 'on', true)")
  await removeChats(
    db,
    blocks.filter(({ is_new }) => is_new),
  )
  for (const block of blocks) if (!block.is_new) await shorten(db, run, block)
}

const count = (report: UndoReport, blocks: readonly Block[]): void => {
  for (const block of blocks) {
    const reason = keptFor(block)
    if (reason !== undefined) {
      report.chats.kept += 1
      if (report.kept.length < mostExamples) report.kept.push({ key: block.legacy_key, reason })
      continue
    }
    report.chats[block.is_new ? 'removed' : 'shortened'] += 1
    report.messages.removed += Number(block.last_seq) - Number(block.first_seq) + 1
  }
}

/** Raises {@link UndoRefused}. */
const requireUndoable = async (db: Db, run: string): Promise<void> => {
  const { rows } = await db.query<{ isKnown: boolean }>(
    `select r.undone_at is not null or coalesce((r.report -> 'chats' ->> 'imported')::int + (r.report -> 'chats' ->> 'grown')::int, 0) = 0
            or exists (select from public.chat_import_blocks b where b.run_id = r.id) as "isKnown"
       from public.chat_import_runs r where r.id = $1`,
    [run],
  )
  if (rows[0] === undefined) throw new UndoRefused(`There is no import ${run}.`)
  if (!rows[0].isKnown)
    throw new UndoRefused(`What the import ${run} brought in is not written down, or all of it is gone. It cannot be taken back.`)
}

export interface UndoOptions {
  readonly pool: Pool
  readonly run: string
  /** Tells what would go, and changes nothing. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
}

/**
 * In batches of one transaction each, so that one that was interrupted goes on where it ended. Raises {@link UndoRefused}, TM_POSTGRES_* and the
 * signal's reason.
 */
export const undoImport = async ({ pool, run, dryRun = false, signal }: UndoOptions): Promise<UndoReport> => {
  await requireUndoable(pool, run)
  const report: UndoReport = { run, dryRun, chats: { removed: 0, shortened: 0, kept: 0 }, messages: { removed: 0 }, kept: [] }
  for (let last = firstId; ; ) {
    signal?.throwIfAborted()
    const blocks: readonly Block[] = dryRun
      ? await blocksAfter(pool, run, last, true)
      : await inTransaction<readonly Block[]>(
          pool,
          async (db) => {
            const found = await blocksAfter(db, run, last, false)
            await undoBlocks(
              db,
              run,
              found.filter((block) => keptFor(block) === undefined),
            )
            return found
          },
          signal,
        )
    count(report, blocks)
    if (blocks.length < batch) break
    last = blocks.at(-1)!.session_id
  }
  if (!dryRun) await pool.transaction((db) => finish(db, run))
  return report
}

/** What could not be taken as it was is told of no chat that is not here; and an import of which nothing is left is undone. */
const finish = async (db: Db, run: string): Promise<void> => {
  await db.query(
    `delete from public.chat_import_rejects r where r.run_id = $1
        and not exists (select from public.chat_sessions s where s.legacy_key = r.source_key)`,
    [run],
  )
  await db.query(
    `update public.chat_import_runs r set undone_at = clock_timestamp() where r.id = $1 and r.undone_at is null
        and not exists (select from public.chat_import_blocks b where b.run_id = r.id)`,
    [run],
  )
}
