/** Brings the chats of a Redis into Postgres: reads all, writes what is missing, and compares both sides. Redis is only read. */
import type { Pool, Redis } from 'tidemark'
import { inTransaction } from './in-transaction.js'
import { type Listing, parseChat, type RawChat, rejectChat } from './parse-chat.js'
import type { Note, Parsed, PlannedChat } from './plan.js'
import { type Keys, type Lists, readChats, readKeys, readLists, type Source } from './read-redis.js'
import { countNotes, createReport, createVerification, type ImportReport } from './report.js'
import { verifyBatch } from './verify-batch.js'
import { judgeBatch, keepNotes, type WrittenChat, writeBatch } from './write-batch.js'

export interface Progress {
  readonly phase: 'import' | 'verify' | 'remove'
  readonly done: number
  readonly total: number
}

export interface ImportOptions {
  readonly redis: Redis
  readonly pool: Pool
  /** What stands before every key. Default: nothing. */
  readonly prefix?: string
  /** Reads both sides and writes nothing. */
  readonly dryRun?: boolean
  /** Only compares. */
  readonly verifyOnly?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
  /** Default: the clock of the machine. */
  readonly nowMs?: number
}

interface Run {
  readonly source: Source
  readonly pool: Pool
  readonly report: ImportReport
  readonly keys: Keys
  readonly lists: Lists
  readonly nowMs: number
  readonly onProgress: (progress: Progress) => void
}

const listingsOf = ({ lists }: Run, { key, legacyId }: RawChat): readonly Listing[] =>
  lists.listings.get(key) ?? lists.listings.get(`chat:${legacyId}`) ?? []

const count = ({ report }: Run, { chat, outcome, importedMessages, notes }: WrittenChat): void => {
  report.chats[outcome] += 1
  report.messages.rejected += chat.rejectedMessages
  report.messages.imported += importedMessages
  const others = chat.messages.length - importedMessages
  report.messages[outcome === 'present' || outcome === 'grown' ? 'present' : 'skipped'] += others
  countNotes(report, [...chat.notes, ...notes])
}

const writeParsed = async (run: Run, runId: string | null, parsed: readonly Parsed[]): Promise<void> => {
  const planned = parsed.flatMap((one) => (one.kind === 'planned' ? [one.chat] : []))
  const rejected = parsed.flatMap((one) => (one.kind === 'rejected' ? [one.chat] : []))
  const notes = rejected.flatMap((one) => one.notes)
  const written =
    runId === null
      ? await judgeBatch(run.pool, planned)
      : await inTransaction<readonly WrittenChat[]>(
          run.pool,
          async (db) => {
            const keys = rejected.map(({ key }) => key)
            if (keys.length > 0) await keepNotes(db, runId, keys, notes)
            return writeBatch(db, runId, planned)
          },
          run.source.signal,
        )
  const { report } = run
  report.chats.seen += parsed.length
  report.chats.rejected += rejected.length
  report.messages.seen += planned.reduce((sum, { messages, rejectedMessages }) => sum + messages.length + rejectedMessages, 0)
  countNotes(report, notes)
  for (const one of written) count(run, one)
}

async function* parsedBatches(run: Run, phase: Progress['phase']): AsyncGenerator<readonly Parsed[]> {
  const total = run.keys.chats.length
  let done = 0
  for await (const batch of readChats(run.source, run.keys.chats)) {
    yield batch.map((raw) => parseChat(raw, listingsOf(run, raw), run.nowMs))
    done += batch.length
    run.onProgress({ phase, done, total })
  }
}

/** Entries of the lists without a chat, and keys like a chat's that hold something else. */
const strays = ({ keys, lists, source }: Run): { readonly missing: readonly Note[]; readonly foreign: readonly Parsed[] } => {
  const there = new Set([...keys.chats.map(({ key }) => key), ...keys.others.map(({ key }) => key)])
  const missing = [...lists.listings].flatMap(([key, listings]) =>
    there.has(key) || there.has(source.prefix + key)
      ? []
      : listings.map(
          ({ userId }): Note => ({
            key,
            item: `user:v2:chat:${userId}`,
            reason: 'missing_hash',
            outcome: 'changed',
            bytes: null,
          }),
        ),
  )
  return { missing, foreign: keys.others.map(({ key, type }) => rejectChat(key, 'wrong_type', Buffer.from(type))) }
}

const importAll = async (run: Run, runId: string | null): Promise<void> => {
  for await (const parsed of parsedBatches(run, 'import')) await writeParsed(run, runId, parsed)
  const { missing, foreign } = strays(run)
  if (foreign.length > 0) await writeParsed(run, runId, foreign)
  countNotes(run.report, missing)
  if (runId === null || missing.length === 0) return
  const keys = missing.map(({ key }) => key)
  await inTransaction(run.pool, (db) => keepNotes(db, runId, keys, missing), run.source.signal)
}

const verifyAll = async (run: Run): Promise<void> => {
  const verification = createVerification()
  for await (const parsed of parsedBatches(run, 'verify')) {
    const planned = parsed.flatMap((one): PlannedChat[] => (one.kind === 'planned' ? [one.chat] : []))
    await verifyBatch(run.pool, planned, verification)
  }
  run.report.verification = verification
}

const beginRun = async (pool: Pool): Promise<string> => {
  const { rows } = await pool.query<{ id: string }>('insert into public.chat_import_runs default values returning id')
  return rows[0]!.id
}

/** Raises TM_REDIS_*, TM_POSTGRES_* and the signal's reason; what was written until then stays, and another run goes on from there. */
export const importChats = async (options: ImportOptions): Promise<ImportReport> => {
  const {
    redis,
    pool,
    prefix = '',
    dryRun = false,
    verifyOnly = false,
    signal,
    onProgress = () => {},
    nowMs = Date.now(),
  } = options
  const source: Source = { redis, prefix, ...(signal && { signal }) }
  const report = createReport(dryRun)
  const lists = await readLists(source)
  const keys = await readKeys(source)
  const run: Run = { source, pool, report, lists, keys, nowMs, onProgress }
  Object.assign(report.source, {
    lists: lists.lists,
    listEntries: lists.entries,
    cacheKeys: keys.cacheKeys,
    otherKeys: lists.others,
  })
  const runId = dryRun || verifyOnly ? null : await beginRun(pool)
  report.run = runId
  if (!verifyOnly) await importAll(run, runId)
  if (!dryRun) await verifyAll(run)
  if (runId !== null)
    await pool.query('update public.chat_import_runs set finished_at = clock_timestamp(), report = $2 where id = $1', [
      runId,
      JSON.stringify(report),
    ])
  return report
}
