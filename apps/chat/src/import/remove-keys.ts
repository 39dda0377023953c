/**
 * Takes chats that are in Postgres out of Redis, for good: by a command of its own, after both sides were compared once more, and each only as it
 * was when it was compared. What was rejected, whole or in part, stays.
 */
import { createHash } from 'node:crypto'
import type { Pool, Redis } from 'tidemark'
import { cleanText } from '../storable.js'
import { importChats, type Progress } from './import-chats.js'
import { parseChat, type RawChat } from './parse-chat.js'
import type { PlannedChat } from './plan.js'
import { type Lists, readChats, readKeys, readLists, type Source } from './read-redis.js'
import { createVerification, type ImportReport, isVerified } from './report.js'
import { verifyBatch } from './verify-batch.js'

export interface RemovalReport {
  readonly dryRun: boolean
  /** Of the comparison before it. Where the sides differ nothing is removed. */
  readonly verification: NonNullable<ImportReport['verification']>
  readonly chats: {
    seen: number
    removed: number
    /** Written to since they were compared. */
    changed: number
    /** Not wholly in Postgres: rejected, or with rejected messages. */
    kept: number
  }
  /** Of the lists of users. */
  readonly listEntries: { removed: number }
}

export interface RemoveOptions {
  readonly redis: Redis
  readonly pool: Pool
  readonly prefix?: string
  /** Tells what would go, and removes nothing. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
}

type Script = Parameters<Redis['script']>[0]

/** Fields in the order of their bytes (Lua's own order is that of the server's locale), each with its length before it, so that no two chats read alike. */
const lua = `
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local kind = redis.call('TYPE', KEYS[1]).ok
local parts = {}
if kind == 'string' then
  parts[1] = redis.call('GET', KEYS[1])
elseif kind == 'hash' then
  local flat = redis.call('HGETALL', KEYS[1])
  local values, names = {}, {}
  for i = 1, #flat, 2 do
    values[flat[i]] = flat[i + 1]
    names[#names + 1] = flat[i]
  end
  table.sort(names, before)
  for _, name in ipairs(names) do
    parts[#parts + 1] = #name .. ':' .. name .. #values[name] .. ':' .. values[name]
  end
else
  return 0
end
if redis.sha1hex(table.concat(parts)) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])`

const removeIfUnchanged: Script = { name: 'chat-remove', lua, sha: createHash('sha1').update(lua).digest('hex') }

const digestOf = ({ hash, text }: RawChat): string => {
  const digest = createHash('sha1')
  if (text !== undefined) return digest.update(text).digest('hex')
  const fields = [...(hash ?? [])].map(([name, value]) => [Buffer.from(name), value] as const)
  for (const [name, value] of fields.sort(([a], [b]) => Buffer.compare(a, b)))
    digest.update(`${name.length}:`).update(name).update(`${value.length}:`).update(value)
  return digest.digest('hex')
}

interface Removal {
  readonly source: Source
  readonly pool: Pool
  readonly lists: Lists
  readonly report: RemovalReport
}

interface Found {
  readonly raw: RawChat
  readonly chat: PlannedChat
}

const isEqual = async (pool: Pool, chats: readonly PlannedChat[]): Promise<boolean> => {
  const verification = createVerification()
  await verifyBatch(pool, chats, verification)
  return isVerified(verification)
}

/** All at once where they are, which is nearly always; else one by one. */
const equalOnes = async (pool: Pool, found: readonly Found[]): Promise<readonly Found[]> => {
  const isWhole = await isEqual(
    pool,
    found.map(({ chat }) => chat),
  )
  if (isWhole) return found
  const equal: Found[] = []
  for (const one of found) if (await isEqual(pool, [one.chat])) equal.push(one)
  return equal
}

/** Before they go: whoever takes an import back must not take what Redis may not have any more. */
const mark = (pool: Pool, keys: readonly string[], isGone: boolean): Promise<unknown> =>
  pool.query(
    `update public.chat_import_blocks b set source_removed_at = case when $2 then coalesce(b.source_removed_at, clock_timestamp()) end
       from public.chat_sessions s where s.id = b.session_id and s.legacy_key = any($1)`,
    [keys, isGone],
  )

const dropEntries = async ({ source, lists, report }: Removal, members: readonly string[]): Promise<void> => {
  const commands = members.flatMap((member) =>
    (lists.listings.get(member) ?? []).map(({ userId }) => ['ZREM', `${source.prefix}user:v2:chat:${userId}`, member] as const),
  )
  if (commands.length === 0) return
  for (const result of await source.redis.pipeline(commands)) {
    if (!result.ok) throw result.error
    report.listEntries.removed += Number(result.value)
  }
}

const membersOf = ({ key, legacyId }: RawChat): readonly string[] => [...new Set([key, `chat:${legacyId}`])]

const removeBatch = async (removal: Removal, batch: readonly RawChat[], nowMs: number): Promise<void> => {
  const { source, pool, lists, report } = removal
  const found = batch.flatMap((raw): Found[] => {
    const listings = lists.listings.get(raw.key) ?? lists.listings.get(`chat:${raw.legacyId}`) ?? []
    const parsed = parseChat(raw, listings, nowMs)
    return parsed.kind === 'planned' && parsed.chat.rejectedMessages === 0 ? [{ raw, chat: parsed.chat }] : []
  })
  const equal = await equalOnes(pool, found)
  report.chats.seen += batch.length
  report.chats.kept += batch.length - found.length
  report.chats.changed += found.length - equal.length
  if (report.dryRun) {
    report.chats.removed += equal.length
    report.listEntries.removed += equal.flatMap(({ raw }) =>
      membersOf(raw).flatMap((member) => lists.listings.get(member) ?? []),
    ).length
    return
  }
  await mark(
    pool,
    equal.map(({ raw }) => raw.key),
    true,
  )
  const results = await Promise.all(
    equal.map(({ raw }) => source.redis.script<number>(removeIfUnchanged, [raw.key], [digestOf(raw)])),
  )
  const gone = equal.filter((_, index) => Number(results[index]) === 1)
  const changed = equal.filter((_, index) => Number(results[index]) !== 1)
  await mark(
    pool,
    changed.map(({ raw }) => raw.key),
    false,
  )
  report.chats.removed += gone.length
  report.chats.changed += changed.length
  await dropEntries(
    removal,
    gone.flatMap(({ raw }) => membersOf(raw)),
  )
}

/** Entries of lists whose chat was removed by a run that ended before it came to them: Postgres has, or had, the chat. */
const dropLeftEntries = async (removal: Removal, there: ReadonlySet<string>): Promise<void> => {
  const { source, pool, lists } = removal
  const left = [...lists.listings.keys()].filter((member) => !there.has(member) && !there.has(source.prefix + member))
  const { rows } = await pool.query<{ key: string }>(
    `select s.legacy_key as key from public.chat_import_blocks b join public.chat_sessions s on s.id = b.session_id
      where b.source_removed_at is not null and s.legacy_key = any($1)`,
    [left.flatMap((member) => [member, source.prefix + member]).map(cleanText)],
  )
  const gone = new Set(rows.map(({ key }) => key))
  const members = left.filter((member) => gone.has(member) || gone.has(source.prefix + member))
  if (!removal.report.dryRun) await dropEntries(removal, members)
}

/** Raises TM_REDIS_*, TM_POSTGRES_* and the signal's reason; another run goes on from there. */
export const removeKeys = async (options: RemoveOptions): Promise<RemovalReport> => {
  const { redis, pool, prefix = '', dryRun = false, signal, onProgress = () => {} } = options
  const given = { redis, pool, prefix, onProgress, ...(signal && { signal }) }
  const verification = (await importChats({ ...given, verifyOnly: true })).verification ?? createVerification()
  const report: RemovalReport = {
    dryRun,
    verification,
    chats: { seen: 0, removed: 0, changed: 0, kept: 0 },
    listEntries: { removed: 0 },
  }
  if (!isVerified(verification)) return report
  const source: Source = { redis, prefix, ...(signal && { signal }) }
  const [lists, keys] = [await readLists(source), await readKeys(source)]
  const removal: Removal = { source, pool, lists, report }
  const nowMs = Date.now()
  for await (const batch of readChats(source, keys.chats)) {
    await removeBatch(removal, batch, nowMs)
    onProgress({ phase: 'remove', done: report.chats.seen, total: keys.chats.length })
  }
  await dropLeftEntries(removal, new Set([...keys.chats, ...keys.others].map(({ key }) => key)))
  return report
}
