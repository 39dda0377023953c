import { createRedis, type Redis } from 'tidemark'
import { startTestRedis, type TestRedis } from 'tidemark/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findRedisServer } from '../../../../packages/tidemark/src/redis/embedded/find-server.js'
import { type AppDatabase, openAppDatabase } from '../../../../packages/tidemark/src/testing/app/app-database.js'
import { chat } from '../chat.js'
import { sessionIdOf, userIdOf } from '../legacy-ids.js'
import { appendMessage, deleteMessage, editMessage, messagePage } from '../messages.js'
import { deleteSession, purgeSessions, recentSessions } from '../sessions.js'
import { type ImportOptions, importChats } from './import-chats.js'
import { exitCodes, main } from './main.js'
import { type ImportReport, isBalanced, isVerified } from './report.js'
import { type Seeded, seedChats } from './seed-chats.js'

let database: AppDatabase
let server: TestRedis
let redis: Redis
let seeded: Seeded

const hasRedis = (await findRedisServer()) !== undefined

beforeAll(async () => {
  if (!hasRedis) return
  database = await openAppDatabase(chat)
  server = await startTestRedis()
  redis = await createRedis({ url: server.url })
})

afterAll(async () => {
  await redis?.stop()
  await server?.stop()
  await database?.drop()
})

beforeEach(async () => {
  if (!hasRedis) return
  await redis.command(['FLUSHALL'])
  await database.owner.query(
    'delete from chat_sessions; truncate chat_audit, chat_import_runs, chat_import_blocks, chat_import_rejects',
  )
  seeded = await seedChats(redis)
})

const run = (options: Partial<ImportOptions> = {}): Promise<ImportReport> =>
  importChats({ redis, pool: database.pool, ...options })

const counts = async () =>
  (
    await database.owner.query<Record<string, number>>(
      `select (select count(*)::int from chat_sessions) as chats, (select count(*)::int from chat_messages) as messages,
              (select count(*)::int from chat_import_rejects) as rejects, (select count(*)::int from chat_import_runs) as runs`,
    )
  ).rows[0]!

const rejects = async () =>
  (
    await database.owner.query<{ source_key: string; item: string; reason: string; bytes: Buffer | null }>(
      'select source_key, item, reason, bytes from chat_import_rejects order by 1, 2, 3',
    )
  ).rows

const id = sessionIdOf('sEEd001')
const owner = userIdOf('github_1042')
const key = 'chat:sEEd001'
const messagesIn = async (chat: string): Promise<{ role: string; content: string; id?: string }[]> =>
  JSON.parse(await redis.command<string>(['HGET', chat, 'messages']))

describe.skipIf(!hasRedis)('S4.1, R84: the import', () => {
  it('tells in a dry run what it would do, and does nothing', async () => {
    const report = await run({ dryRun: true })
    expect(await counts()).toEqual({ chats: 0, messages: 0, rejects: 0, runs: 0 })
    const real = await run()
    expect(report).toEqual({ ...real, dryRun: true, run: null, verification: null })
  })

  it('brings every chat in, accounts for the two that it cannot, and finds both sides equal', async () => {
    const report = await run()
    expect(report.source).toEqual({ lists: 3, listEntries: 41, cacheKeys: 0, otherKeys: 0 })
    expect(report.chats).toEqual({ seen: 40, imported: 39, grown: 0, present: 0, deleted: 0, purged: 0, rejected: 1 })
    expect(report.messages).toEqual({ seen: seeded.messages, imported: seeded.messages, present: 0, skipped: 0, rejected: 0 })
    expect(report.notes).toEqual({ broken_messages: 1, missing_hash: 1, anonymous_owner: 12 })
    expect(report.rejects).toEqual([{ key: seeded.brokenKey, item: '', reason: 'broken_messages' }])
    expect(isBalanced(report)).toBe(true)
    expect(report.verification).toEqual({
      chats: { equal: 39, different: 0, missing: 0, deleted: 0 },
      messages: { equal: seeded.messages, changedHere: 0, different: 0, missing: 0 },
      differences: [],
    })
    expect(await counts()).toEqual({ chats: 39, messages: seeded.messages, rejects: 2, runs: 1 })
    const [missing, broken] = await rejects()
    expect(missing).toMatchObject({ source_key: seeded.missingKey, reason: 'missing_hash', bytes: null })
    const raw = JSON.parse(broken!.bytes!.toString()) as { messages: string }
    expect(raw.messages).toBe(await redis.command(['HGET', seeded.brokenKey, 'messages']))
  })

  it('brings in nothing new when it runs again', async () => {
    await run()
    const before = (await database.owner.query('select * from chat_sessions order by id')).rows
    const report = await run()
    expect(report.chats).toMatchObject({ seen: 40, imported: 0, grown: 0, present: 39, rejected: 1 })
    expect(report.messages).toMatchObject({ imported: 0, present: seeded.messages })
    expect((await database.owner.query('select * from chat_sessions order by id')).rows).toEqual(before)
    expect(await counts()).toMatchObject({ chats: 39, messages: seeded.messages, rejects: 2 })
  })

  it('gives users their chats: under their ids, in their order, with numbers that go on', async () => {
    await run()
    const { chats } = await recentSessions(database.pool, owner, { limit: 200 })
    const expected = Array.from({ length: 40 }, (_none, n) => n).filter((n) => n % 3 === 1 && n !== 17)
    expect(chats.map(({ id: found }) => found)).toEqual(
      expected.map((n) => sessionIdOf(`sEEd${String(n).padStart(3, '0')}`)).reverse(),
    )
    const list = await messagesIn(key)
    const page = await messagePage(database.pool, owner, id)
    expect(page?.messages.map(({ seq, role, content }) => ({ seq, role, content }))).toEqual(
      list.map(({ role, content }, index) => ({ seq: index + 1, role, content })),
    )
    expect(chats.find((session) => session.id === id)).toMatchObject({
      title: list[0]!.content,
      message_count: list.length,
      last_message_preview: list.at(-1)!.content.slice(0, 120),
      metadata: { legacy: { path: '/chat/sEEd001' } },
      created_at: '2025-03-03T10:00:00.000Z',
    })
    expect((await appendMessage(database.pool, owner, id, { role: 'user', content: 'on' })).message.seq).toBe(list.length + 1)
  })

  it('brings in what was said in Redis meanwhile, and a chat that was repaired', async () => {
    await run()
    const list = [...(await messagesIn(key)), { id: 'late', role: 'user', content: 'late' }]
    await redis.command(['HSET', key, 'messages', JSON.stringify(list)])
    await redis.command(['HSET', seeded.brokenKey, 'messages', '[{"role":"user","content":"whole"}]'])
    const report = await run()
    expect(report.chats).toMatchObject({ imported: 1, grown: 1, present: 38, rejected: 0 })
    expect(report.messages).toMatchObject({ imported: 2 })
    expect(isVerified(report.verification!)).toBe(true)
    expect((await messagePage(database.pool, owner, id))?.messages.at(-1)).toMatchObject({ content: 'late', seq: list.length })
    expect((await rejects()).map(({ reason }) => reason)).toEqual(['missing_hash'])
  })

  it('leaves alone what was edited, deleted or purged in Postgres since', async () => {
    await run()
    const [first, second] = (await messagePage(database.pool, owner, id))!.messages
    await database.pool.transaction(async (tx) => {
      await editMessage(tx, owner, id, first!.id, 'edited here')
      await deleteMessage(tx, owner, id, second!.id)
      await deleteSession(tx, owner, sessionIdOf('sEEd004'))
      await deleteSession(tx, owner, sessionIdOf('sEEd007'), { undoMs: 0 })
    })
    await purgeSessions(database.pool)
    const report = await run()
    expect(report.chats).toMatchObject({ imported: 0, grown: 0, present: 37, deleted: 1, purged: 1, rejected: 1 })
    expect(isBalanced(report)).toBe(true)
    expect(report.verification).toMatchObject({ chats: { equal: 37, deleted: 2 }, messages: { changedHere: 2, missing: 0 } })
    expect((await messagePage(database.pool, owner, id))?.messages.map(({ content }) => content).slice(0, 2)).toEqual([
      'edited here',
      '',
    ])
    expect(await messagePage(database.pool, owner, sessionIdOf('sEEd007'))).toBeNull()
  })

  it('finds what differs, and says where', async () => {
    await run()
    const list = await messagesIn(key)
    await redis.command(['HSET', key, 'messages', JSON.stringify([{ ...list[0], content: 'other' }, ...list.slice(1)])])
    await database.owner.query(`delete from chat_messages where session_id = '${sessionIdOf('sEEd004')}' and seq = 2`)
    await database.owner.query(`delete from chat_sessions where id = '${sessionIdOf('sEEd010')}'; truncate chat_audit`)
    await database.owner.query(`update chat_sessions set user_id = '${owner}' where id = '${sessionIdOf('sEEd000')}'`)
    const { verification } = await run({ verifyOnly: true })
    expect(verification).toMatchObject({ chats: { equal: 35, different: 3, missing: 1 }, messages: { different: 1 } })
    expect([...verification!.differences].sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { key: 'chat:sEEd000', what: 'the chat belongs to another user' },
      { key, what: 'message [0] is different' },
      { key: 'chat:sEEd004', what: 'message [1] is missing' },
      { key: 'chat:sEEd010', what: 'the chat is missing' },
    ])
    expect(isVerified(verification!)).toBe(false)
  })

  it('can run twice side by side, while users write', async () => {
    await run()
    await database.owner.query("delete from chat_sessions where title like '%chat 1%'; truncate chat_audit")
    const list = [...(await messagesIn('chat:sEEd002')), { id: 'late', role: 'user', content: 'late' }]
    await redis.command(['HSET', 'chat:sEEd002', 'messages', JSON.stringify(list)])
    const writes = Promise.all(
      Array.from({ length: 20 }, () =>
        appendMessage(database.pool, userIdOf('anonymous'), sessionIdOf('sEEd002'), { role: 'user', content: 'on' }),
      ),
    )
    const [one, two] = await Promise.all([run(), run(), writes])
    expect([isBalanced(one), isBalanced(two), isVerified(one.verification!), isVerified(two.verification!)]).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(one.chats.imported + two.chats.imported).toBe(11 - 1)
    const { rows } = await database.owner.query(
      `select s.id from chat_sessions s left join chat_messages m on m.session_id = s.id group by s.id
        having count(*) <> s.next_seq - 1 or max(m.seq) <> count(*) or count(*) <> s.message_count`,
    )
    expect(rows).toEqual([])
  })

  it('tells chats from the caches of this app and from other keys beside them', async () => {
    await redis.pipeline([
      ['SET', 'chat:recent:someone', 'x'],
      ['SET', 'chat:messages:some', 'x'],
      ['SADD', 'chat:viewers:some', 'x'],
      ['SADD', 'chat:aSet', 'x'],
      ['SET', 'chat:aText', 'x'],
      [
        'SET',
        'chat:asJson',
        JSON.stringify({ userId: 'u9', createdAt: 1_700_000_000_000, messages: [{ role: 'user', content: 'a' }] }),
      ],
      ['SET', 'user:v2:chat:odd', 'x'],
    ])
    const report = await run()
    expect(report.source).toMatchObject({ cacheKeys: 3, otherKeys: 1 })
    expect(report.chats).toMatchObject({ seen: 43, imported: 40, rejected: 3 })
    expect(report.notes).toMatchObject({ wrong_type: 2, not_listed: 1 })
    expect(isBalanced(report)).toBe(true)
  })

  it('never takes the id of a chat that came from elsewhere', async () => {
    await database.owner.query('insert into chat_sessions (id, user_id) values ($1, $2)', [id, owner])
    const report = await run()
    expect(report.rejects).toContainEqual({ key, item: '', reason: 'id_taken' })
    expect(report.chats).toMatchObject({ imported: 38, rejected: 2 })
    expect(report.messages.skipped).toBe((await messagesIn(key)).length)
    expect([isBalanced(report), report.verification?.chats.missing]).toEqual([true, 1])
  })

  it('reads keys under a prefix, whatever is in it', async () => {
    const prefix = 'prod[1]*:'
    await redis.pipeline([
      ['HSET', `${prefix}chat:p1`, 'userId', 'u1', 'createdAt', '1700000000000', 'messages', '[]'],
      ['ZADD', `${prefix}user:v2:chat:u1`, 1, 'chat:p1'],
    ])
    const report = await run({ prefix })
    expect(report.chats).toMatchObject({ seen: 1, imported: 1 })
    expect(report.notes).toEqual({})
  })

  it('goes through many chats and large ones in batches', async () => {
    const large = JSON.stringify(
      Array.from({ length: 40 }, (_none, n) => ({ role: 'user', content: `${n}${'x'.repeat(99_990)}` })),
    )
    const small = JSON.stringify([{ role: 'user', content: 'a' }])
    await redis.pipeline(
      Array.from({ length: 1500 }, (_none, n) => {
        const fields = ['userId', 'u1', 'createdAt', '1700000000000', 'messages', n % 300 === 0 ? large : small]
        return ['HSET', `chat:many${n}`, ...fields] as const
      }),
    )
    const seen: number[] = []
    const report = await run({ onProgress: ({ phase, done }) => phase === 'import' && seen.push(done) })
    expect(report.chats).toMatchObject({ seen: 1540, imported: 1539 })
    expect([isBalanced(report), isVerified(report.verification!)]).toEqual([true, true])
    expect(seen.at(-1)).toBe(1540)
    expect(seen.length).toBeGreaterThan(15)
  })

  it('stops at a signal, and the next run goes on from there', async () => {
    const interrupted = new AbortController()
    await expect(run({ signal: interrupted.signal, onProgress: () => interrupted.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    )
    expect(isVerified((await run()).verification!)).toBe(true)
  })
})

describe.skipIf(!hasRedis)('the command', () => {
  const command = async (...args: string[]) => {
    const said: Record<'out' | 'err', string[]> = { out: [], err: [] }
    const streams = { out: (text: string) => void said.out.push(text), err: (text: string) => void said.err.push(text) }
    const code = await main(args, streams, undefined, {})
    return { code, out: said.out.join(''), err: said.err.join('') }
  }
  const both = () => ['--redis', server.url, '--database', database.urls.app]

  it('ends with 6 where something was rejected, and with 0 where that is accepted', async () => {
    const dry = await command(...both(), '--dry-run', '--json')
    expect([dry.code, JSON.parse(dry.out)]).toMatchObject([exitCodes.rejects, { dryRun: true, chats: { imported: 39 } }])
    const { code, out, err } = await command(...both())
    expect(code).toBe(exitCodes.rejects)
    expect(out).toContain('chats     40: 39 imported, 1 rejected')
    expect(out).toContain('both sides are equal')
    expect(err).toContain('read 40 of 40 chats')
    expect((await command(...both(), '--accept-rejects')).code).toBe(exitCodes.ok)
    expect(`${out}${err}`).not.toMatch(/Question|password/)
  })

  it('ends with 5 where both sides differ', async () => {
    const { code, out } = await command(...both(), '--verify')
    expect([code, out.includes('DIFFER')]).toEqual([exitCodes.differs, true])
  })

  it('ends with 2 for what it does not understand, and with 4 where a server is away', async () => {
    expect((await command('--nonsense')).code).toBe(exitCodes.usage)
    expect((await command('--redis', server.url)).code).toBe(exitCodes.usage)
    expect((await command(...both(), '--verify', '--dry-run')).code).toBe(exitCodes.usage)
    expect((await command('--help')).code).toBe(exitCodes.ok)
    const away = await command('--redis', 'redis://:secret@127.0.0.1:9', '--database', database.urls.app)
    expect([away.code, away.err.includes('secret')]).toEqual([exitCodes.unreachable, false])
    const noDatabase = await command('--redis', server.url, '--database', 'postgres://a:secret@127.0.0.1:9/b')
    expect([noDatabase.code, noDatabase.err.includes('secret')]).toEqual([exitCodes.unreachable, false])
  })
})
