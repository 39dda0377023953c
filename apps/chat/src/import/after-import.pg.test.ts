import { createRedis, type Redis } from 'tidemark'
import { startTestRedis, type TestRedis } from 'tidemark/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findRedisServer } from '../../../../packages/tidemark/src/redis/embedded/find-server.js'
import { type AppDatabase, openAppDatabase } from '../../../../packages/tidemark/src/testing/app/app-database.js'
import { chat } from '../chat.js'
import { sessionIdOf, userIdOf } from '../legacy-ids.js'
import { appendMessage } from '../messages.js'
import { deleteSession, purgeSessions } from '../sessions.js'
import { importChats } from './import-chats.js'
import { exitCodes, main } from './main.js'
import { removeKeys } from './remove-keys.js'
import { type Seeded, seedChats } from './seed-chats.js'
import { importRuns, undoImport } from './undo-import.js'

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

const run = async (): Promise<string> => (await importChats({ redis, pool: database.pool })).run!
const undo = (id: string, dryRun = false) => undoImport({ pool: database.pool, run: id, dryRun })
const remove = (dryRun = false) => removeKeys({ redis, pool: database.pool, dryRun })

const tables = ['chat_sessions', 'chat_messages', 'chat_import_rejects', 'chat_import_blocks'] as const

const counts = async (): Promise<readonly number[]> => {
  const sql = tables.map((table) => `(select count(*)::int from ${table}) as ${table}`).join(', ')
  const [row] = (await database.owner.query<Record<string, number>>(`select ${sql}`)).rows
  return tables.map((table) => row![table]!)
}

const rowsOf = async (table: string, columns: string): Promise<readonly unknown[]> =>
  (await database.owner.query(`select ${columns} from ${table} order by 1, 2`)).rows

/** What people see of it. */
const seen = async () => [
  await rowsOf(
    'chat_sessions',
    'id, user_id, title, status, message_count, next_seq, last_message_at, last_message_preview, created_at',
  ),
  await rowsOf('chat_messages', 'session_id, seq, id, role, content, created_at'),
]

const owner = userIdOf('github_1042')
const [key, id] = ['chat:sEEd001', sessionIdOf('sEEd001')]
const [otherKey, otherId] = ['chat:sEEd004', sessionIdOf('sEEd004')]

const addInRedis = async (chatKey: string, ...contents: readonly string[]): Promise<void> => {
  const list = JSON.parse(await redis.command<string>(['HGET', chatKey, 'messages'])) as unknown[]
  const more = contents.map((content, index) => ({ id: `late-${chatKey}-${index}`, role: 'user', content }))
  await redis.command(['HSET', chatKey, 'messages', JSON.stringify([...list, ...more])])
}

const keysInRedis = async (): Promise<readonly string[]> => (await redis.command<string[]>(['KEYS', 'chat:*'])).toSorted()

const entriesInRedis = async (): Promise<number> => {
  const results = await redis.pipeline(seeded.users.map((user) => ['ZCARD', `user:v2:chat:${user}`]))
  return results.reduce((sum, result) => sum + (result.ok ? Number(result.value) : 0), 0)
}

/** The same Redis, with something between it and one of its calls. */
const through = (name: keyof Redis, call: unknown): Redis =>
  new Proxy(redis, {
    get: (target, property) => {
      if (property === name) return call
      const value = Reflect.get(target, property, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

describe.skipIf(!hasRedis)('S4.1, R84: an import is taken back', () => {
  it('whole: nothing of it is left, and another brings the same in again', async () => {
    const first = await run()
    const before = await seen()
    expect(await undo(first, true)).toMatchObject({ dryRun: true, chats: { removed: 39, shortened: 0, kept: 0 } })
    expect(await seen()).toEqual(before)
    expect(await undo(first)).toEqual({
      run: first,
      dryRun: false,
      chats: { removed: 39, shortened: 0, kept: 0 },
      messages: { removed: seeded.messages },
      kept: [],
    })
    expect(await counts()).toEqual([0, 0, 0, 0])
    expect(await importRuns(database.pool)).toMatchObject([{ id: first, undone_at: expect.any(Date), chats: 0 }])
    expect(await undo(first)).toMatchObject({ chats: { removed: 0, shortened: 0, kept: 0 } })
    await run()
    expect(await seen()).toEqual(before)
  })

  it('the second of two leaves what the first brought in, with numbers that go on without a gap', async () => {
    const first = await run()
    const before = await seen()
    await addInRedis(key, 'later', 'and later still')
    const second = await run()
    expect(await undo(first, true)).toMatchObject({
      chats: { removed: 38, kept: 1 },
      kept: [{ key, reason: 'grown_since' }],
    })
    expect(await undo(second)).toMatchObject({ chats: { removed: 0, shortened: 1, kept: 0 }, messages: { removed: 2 } })
    expect(await seen()).toEqual(before)
    const { message } = await database.pool.transaction((db) => appendMessage(db, owner, id, { role: 'user', content: 'now' }))
    expect(message.seq).toBe(before[1]!.filter((row) => (row as { session_id: string }).session_id === id).length + 1)
  })

  it('after the second of two the first can be taken back, too', async () => {
    const first = await run()
    await addInRedis(key, 'later')
    await undo(await run())
    expect(await undo(first)).toMatchObject({ chats: { removed: 39, kept: 0 } })
    expect(await counts()).toEqual([0, 0, 0, 0])
  })

  it('leaves what somebody has written to, renamed or deleted since, and says so', async () => {
    const first = await run()
    await database.pool.transaction((db) => appendMessage(db, owner, id, { role: 'user', content: 'mine' }))
    await database.pool.transaction((db) => deleteSession(db, owner, otherId))
    const report = await undo(first)
    expect(report.chats).toEqual({ removed: 37, shortened: 0, kept: 2 })
    expect(new Set(report.kept.map((one) => `${one.key} ${one.reason}`))).toEqual(
      new Set([`${key} changed_since`, `${otherKey} changed_since`]),
    )
    expect((await counts())[0]).toBe(2)
    expect(await importRuns(database.pool)).toMatchObject([{ undone_at: null, chats: 2 }])
  })

  it('goes on where it was interrupted', async () => {
    const first = await run()
    const ending = new AbortController()
    ending.abort(new Error('enough'))
    await expect(undoImport({ pool: database.pool, run: first, signal: ending.signal })).rejects.toThrow('enough')
    expect((await counts())[0]).toBe(39)
    expect(await undo(first)).toMatchObject({ chats: { removed: 39 } })
  })

  it('leaves a line for each chat, which is not that of a purge', async () => {
    await undo(await run())
    const { rows } = await database.owner.query('select action, count(*)::int as n from chat_audit group by 1')
    expect(rows).toEqual([{ action: 'undo_import', n: 39 }])
  })

  it('that nobody knows, or of which nothing is written down, is refused', async () => {
    const unknown = '7b0f2f0e-3a67-4a4e-9a43-1f5a6c1d2e99'
    await expect(undo(unknown)).rejects.toThrow('There is no import')
    const first = await run()
    await database.owner.query('truncate chat_import_blocks')
    await expect(undo(first)).rejects.toThrow('not written down')
    expect((await counts())[0]).toBe(39)
  })
})

describe.skipIf(!hasRedis)('S4.1, R84: the old keys', () => {
  it('go once both sides are equal: those that are wholly in Postgres, with their entries of lists', async () => {
    await run()
    const before = await keysInRedis()
    const foretold = await remove(true)
    expect(foretold.chats).toEqual({ seen: 40, removed: 39, changed: 0, kept: 1 })
    expect(await keysInRedis()).toEqual(before)
    expect(await remove()).toEqual({ ...foretold, dryRun: false })
    expect(await keysInRedis()).toEqual([seeded.brokenKey])
    // That of the chat that cannot be read, and the one that had no chat before.
    expect(await entriesInRedis()).toBe(2)
    expect((await counts())[0]).toBe(39)
    expect((await remove()).chats).toEqual({ seen: 1, removed: 0, changed: 0, kept: 1 })
  })

  it('stay, all of them, where a single message differs or is missing', async () => {
    await run()
    const before = await keysInRedis()
    await addInRedis(key, 'not imported')
    const report = await remove()
    expect(report.verification.messages.missing).toBe(1)
    expect(report.chats.removed).toBe(0)
    expect(await keysInRedis()).toEqual(before)
  })

  it('stay where somebody writes to one between the comparison and its removal', async () => {
    await run()
    const racing = through('script', async (...args: Parameters<Redis['script']>) => {
      if (args[1][0] === key) await addInRedis(key, 'at the last moment')
      return redis.script(...args)
    })
    const report = await removeKeys({ redis: racing, pool: database.pool })
    expect(report.chats).toMatchObject({ removed: 38, changed: 1, kept: 1 })
    expect(await keysInRedis()).toEqual([key, seeded.brokenKey])
    const { chats } = await importChats({ redis, pool: database.pool })
    expect(chats).toMatchObject({ grown: 1 })
  })

  it('go of chats that their users have deleted or purged since, too', async () => {
    await run()
    await database.pool.transaction((db) => deleteSession(db, owner, id))
    await database.owner.query("update chat_sessions set undo_until = now() - interval '1 day' where id = $1", [id])
    await database.pool.transaction((db) => purgeSessions(db, 10))
    await database.pool.transaction((db) => deleteSession(db, owner, otherId))
    expect((await remove()).chats).toMatchObject({ removed: 39 })
  })

  it('keep their import from being taken back', async () => {
    const first = await run()
    await remove()
    const report = await undo(first)
    expect(report.chats).toMatchObject({ removed: 0, kept: 39 })
    expect(new Set(report.kept.map(({ reason }) => reason))).toEqual(new Set(['source_removed']))
    expect((await counts())[0]).toBe(39)
  })

  it('a run that ended before it came to the lists is finished by the next', async () => {
    await run()
    const dying = through('pipeline', async (...args: Parameters<Redis['pipeline']>) => {
      if (args[0][0]?.[0] === 'ZREM') throw new Error('killed')
      return redis.pipeline(...args)
    })
    await expect(removeKeys({ redis: dying, pool: database.pool })).rejects.toThrow('killed')
    expect(await entriesInRedis()).toBe(41)
    await remove()
    expect(await entriesInRedis()).toBe(2)
  })
})

describe.skipIf(!hasRedis)('the commands', () => {
  const call = async (...args: string[]): Promise<readonly [code: number, out: string, err: string]> => {
    const said = { out: '', err: '' }
    const to = (stream: keyof typeof said) => (text: string) => {
      said[stream] += text
    }
    const streams = { out: to('out'), err: to('err') }
    const code = await main([...args, '--database', database.urls.app], streams)
    return [code, said.out, said.err]
  }

  it('list imports, take one back, and remove keys, each with its exit code', async () => {
    const first = await run()
    expect(await call('runs')).toMatchObject([exitCodes.ok, expect.stringContaining(`${first}  `), ''])
    expect(await call('remove-keys', '--redis', server.url, '--dry-run')).toMatchObject([
      exitCodes.rejects,
      expect.stringContaining('removed from Redis: 39 of 40 chats'),
      expect.any(String),
    ])
    const [code, out] = await call('undo', first, '--json')
    expect([code, JSON.parse(out)]).toMatchObject([exitCodes.ok, { chats: { removed: 39 } }])
    expect((await call('remove-keys', '--redis', server.url))[0]).toBe(exitCodes.differs)
  })

  it('that are none, or lack something, are told so', async () => {
    for (const args of [['undo'], ['undo', 'last'], ['forget'], ['runs', 'x'], ['remove-keys', '--verify']])
      expect((await call(...args))[0]).toBe(exitCodes.usage)
    expect(await call('undo', '7b0f2f0e-3a67-4a4e-9a43-1f5a6c1d2e99')).toMatchObject([
      exitCodes.failed,
      '',
      expect.stringContaining('no import'),
    ])
  })
})
