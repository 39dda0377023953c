import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { chat } from './chat.js'
import { limits } from './limits.js'
import { appendMessage, deleteMessage, editMessage, loadFirstPage, messagePage, type NewMessage } from './messages.js'
import { purge } from './purge.js'
import type { Db, Message, Session } from './rows.js'
import {
  changeSession,
  createSession,
  deleteSession,
  findSession,
  loadSession,
  purgeSessions,
  recentSessions,
  undoDelete,
} from './sessions.js'
import { createRepositoryWrites } from './writes.js'

let database: AppDatabase
let db: Db

beforeAll(async () => {
  database = await openAppDatabase(chat)
  db = database.pool
})

afterAll(() => database?.drop())

const write = <T>(fn: (tx: Db) => Promise<T>): Promise<T> => database.pool.transaction(fn)

const append = (user: string, session: string, message: Partial<NewMessage> = {}): Promise<Message> =>
  appendMessage(db, user, session, { role: 'user', content: 'hello', ...message }).then(({ message: kept }) => kept)

const newChat = async (): Promise<{ readonly user: string; readonly id: string }> => {
  const user = randomUUID()
  return { user, id: (await createSession(db, user)).id }
}

const stored = async (id: string): Promise<Record<string, unknown>> =>
  (await database.owner.query<Record<string, unknown>>('select * from chat_sessions where id = $1', [id])).rows[0]!

const audit = async (id: string) =>
  (
    await database.owner.query<{ action: string; actor: string; request_id: string | null; details: object }>(
      'select action, actor, request_id, details from chat_audit where record_id = $1 order by id',
      [id],
    )
  ).rows

const times = (n: number) => Array.from({ length: n }, (_none, index) => index)

describe('the tables', () => {
  it('are what the migrations say', async () => {
    expect(await database.migrator.diff()).toEqual([])
  })

  it('FEED-5: the log tells the session of a message that goes, and everything of a session', async () => {
    const { rows } = await database.owner.query<{ name: string; identity: string; columns: string[] | null }>(`
      select c.relname as name, c.relreplident as identity,
             (select array_agg(a.attname::text order by a.attnum) from pg_index i
                join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
               where i.indrelid = c.oid and i.indisreplident) as columns
        from pg_class c where c.relname in ('chat_sessions', 'chat_messages') order by 1`)
    expect(rows).toEqual([
      { name: 'chat_messages', identity: 'i', columns: ['session_id', 'seq'] },
      { name: 'chat_sessions', identity: 'f', columns: null },
    ])
  })
})

describe('sessions', () => {
  it('R18: begin empty and active', async () => {
    const user = randomUUID()
    const session = await createSession(db, user, { title: 'Trip', metadata: { model: 'a' } })
    expect(session).toEqual({
      id: session.id,
      user_id: user,
      title: 'Trip',
      status: 'active',
      message_count: 0,
      last_message_at: null,
      last_message_preview: null,
      version: 1,
      metadata: { model: 'a' },
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      updated_at: session.created_at,
    })
    expect(await findSession(db, user, session.id)).toEqual(session)
    expect(await loadSession(db, session.id)).toEqual(session)
    expect((await createSession(db, user)).title).toBe('New chat')
  })

  it('are listed page by page without a gap, newest message first', async () => {
    const user = randomUUID()
    const ids: string[] = []
    for (const _index of times(7)) ids.push((await createSession(db, user)).id)
    await append(user, ids[2]!)
    const order = [ids[2]!, ...ids.filter((id) => id !== ids[2]).reverse()]
    const seen: Session[] = []
    let cursor: string | undefined
    do {
      const page = await recentSessions(db, user, { limit: 3, ...(cursor !== undefined && { cursor }) })
      expect(page.chats.length).toBeLessThanOrEqual(3)
      seen.push(...page.chats)
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    expect(seen.map(({ id }) => id).sort()).toEqual([...ids].sort())
    expect(seen[0]!.id).toBe(order[0])
    const place = seen.map(({ last_message_at, created_at, id }) => `${last_message_at ?? created_at} ${id}`)
    expect(place).toEqual([...place].sort().reverse())
  })

  it('R18: are found by their index', async () => {
    await database.owner.query('analyze chat_sessions')
    const client = database.owner
    await client.query('set enable_seqscan = off')
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `explain select * from chat_sessions s where s.user_id = '${randomUUID()}' and s.status = 'active'
         and (coalesce(s.last_message_at, s.created_at), s.id) < (now(), '${randomUUID()}'::uuid)
        order by coalesce(s.last_message_at, s.created_at) desc, s.id desc limit 51`,
    )
    await client.query('reset enable_seqscan')
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan).toContain('idx_chat_sessions_recent')
    expect(plan).not.toContain('Sort')
  })

  it('can be renamed, archived and brought back, and what is left out stays', async () => {
    const { user, id } = await newChat()
    expect(await changeSession(db, user, id, { title: 'Plans' })).toMatchObject({ title: 'Plans', status: 'active', version: 2 })
    expect(await changeSession(db, user, id, { status: 'archived' })).toMatchObject({ title: 'Plans', status: 'archived' })
    expect((await recentSessions(db, user)).chats).toEqual([])
    expect((await recentSessions(db, user, { status: 'archived' })).chats).toHaveLength(1)
    expect(await changeSession(db, user, id, { status: 'active', metadata: { a: 1 } })).toMatchObject({ metadata: { a: 1 } })
  })

  it('of another user are none, whatever is tried', async () => {
    const { user, id } = await newChat()
    const message = await append(user, id)
    const other = randomUUID()
    const refused = { code: 'CHAT_NOT_FOUND' }
    expect(await findSession(db, other, id)).toBeNull()
    expect(await messagePage(db, other, id)).toBeNull()
    expect((await recentSessions(db, other)).chats).toEqual([])
    await expect(append(other, id)).rejects.toMatchObject(refused)
    await expect(changeSession(db, other, id, { title: 'x' })).rejects.toMatchObject(refused)
    await expect(write((tx) => deleteSession(tx, other, id))).rejects.toMatchObject(refused)
    await expect(write((tx) => undoDelete(tx, other, id))).rejects.toMatchObject(refused)
    await expect(write((tx) => editMessage(tx, other, id, message.id, 'x'))).rejects.toMatchObject(refused)
    await expect(write((tx) => deleteMessage(tx, other, id, message.id))).rejects.toMatchObject(refused)
    expect(await findSession(db, user, id)).toMatchObject({ title: 'New chat', version: 2 })
  })

  it('C55: hold their limits with words that say which', async () => {
    const { user, id } = await newChat()
    const invalid = (what: string) => ({ code: 'CHAT_INVALID', message: expect.stringContaining(what) })
    await expect(createSession(db, user, { title: 'x'.repeat(201) })).rejects.toMatchObject(invalid('title'))
    await expect(changeSession(db, user, id, { title: 'a\0b' })).rejects.toMatchObject(invalid('title'))
    await expect(createSession(db, user, { metadata: { a: 'x'.repeat(17_000) } })).rejects.toMatchObject(invalid('metadata'))
    await expect(createSession(db, user, { metadata: { a: '\ud800' } })).rejects.toMatchObject(invalid('metadata'))
    await expect(recentSessions(db, user, { limit: 201 })).rejects.toMatchObject(invalid('limit'))
    await expect(recentSessions(db, user, { cursor: 'nonsense' })).rejects.toMatchObject(invalid('cursor'))
    // Characters, as Postgres counts them.
    expect((await changeSession(db, user, id, { title: '🌊'.repeat(200) })).title).toHaveLength(400)
  })
})

describe('deleting a chat', () => {
  it('hides it, writes who did it, and can be taken back', async () => {
    const { user, id } = await newChat()
    await append(user, id)
    await changeSession(db, user, id, { status: 'archived' })
    const deleted = await write((tx) => deleteSession(tx, user, id, { requestId: 'req-1' }))
    expect(Date.parse(deleted.undo_until) - Date.now()).toBeGreaterThan(limits.undoMs - 60_000)
    expect(await findSession(db, user, id)).toBeNull()
    expect(await loadSession(db, id)).toBeNull()
    expect(await messagePage(db, user, id)).toBeNull()
    await expect(append(user, id)).rejects.toMatchObject({ code: 'CHAT_NOT_FOUND' })
    expect(await write((tx) => deleteSession(tx, user, id))).toEqual(deleted)

    expect(await write((tx) => undoDelete(tx, user, id, 'req-2'))).toMatchObject({ status: 'archived', message_count: 1 })
    await expect(write((tx) => undoDelete(tx, user, id))).rejects.toMatchObject({ code: 'CHAT_NOT_DELETED' })
    expect((await append(user, id)).seq).toBe(2)
    expect(await audit(id)).toEqual([
      { action: 'delete', actor: user, request_id: 'req-1', details: { user_id: user, from: 'archived', message_count: 1 } },
      { action: 'undo', actor: user, request_id: 'req-2', details: { user_id: user, from: 'deleted', message_count: 1 } },
    ])
  })

  it('is for good when its time is over, and the purge takes it and nothing else', async () => {
    const { user, id } = await newChat()
    await append(user, id)
    const kept = await createSession(db, user)
    await write((tx) => deleteSession(tx, user, id, { undoMs: 0 }))
    const waiting = await createSession(db, user)
    await write((tx) => deleteSession(tx, user, waiting.id))
    await expect(write((tx) => undoDelete(tx, user, id))).rejects.toMatchObject({ code: 'CHAT_UNDO_OVER' })
    await expect(database.owner.query(`update chat_sessions set status = 'active' where id = '${id}'`)).rejects.toMatchObject({
      code: 'PT410',
    })
    // Postgres tells of an error before it lets the row go, and the purge leaves rows that others hold for the next time.
    await database.owner.query('select')

    expect(await purge(createRepositoryWrites(database.pool))).toBeGreaterThanOrEqual(1)
    expect(await purgeSessions(db)).toBe(0)
    expect(await stored(id)).toBeUndefined()
    expect((await database.owner.query('select from chat_messages where session_id = $1', [id])).rows).toEqual([])
    expect((await audit(id)).map(({ action }) => action)).toEqual(['delete', 'purge'])
    expect(await findSession(db, user, kept.id)).not.toBeNull()
    expect((await write((tx) => undoDelete(tx, user, waiting.id))).status).toBe('active')
  })

  it('leaves no words in the audit', async () => {
    const { user, id } = await newChat()
    await append(user, id, { content: 'a secret of mine' })
    await changeSession(db, user, id, { title: 'my secret' })
    await write((tx) => deleteSession(tx, user, id, { undoMs: 0 }))
    await purgeSessions(db)
    expect(JSON.stringify(await audit(id))).not.toContain('secret')
  })
})

describe('messages', () => {
  it('count the session up', async () => {
    const { user, id } = await newChat()
    const first = await append(user, id, { content: 'one', clientMessageId: 'c1', metadata: { a: 1 } })
    expect(first).toEqual({
      id: first.id,
      session_id: id,
      seq: 1,
      role: 'user',
      content: 'one',
      client_message_id: 'c1',
      metadata: { a: 1 },
      edited_at: null,
      deleted_at: null,
      created_at: expect.stringMatching(/Z$/),
    })
    await append(user, id, { role: 'assistant', content: 'x'.repeat(500) })
    expect(await findSession(db, user, id)).toMatchObject({ message_count: 2, version: 3, last_message_preview: 'x'.repeat(120) })
  })

  it('R34, R131, S4.3: fifty writers on a pool of twenty number them 1 to n without a gap', async () => {
    const { user, id } = await newChat()
    const [writers, each] = [50, 4]
    await Promise.all(
      times(writers).map(async (writer) => {
        for (const n of times(each)) await append(user, id, { content: `${writer}/${n}`, clientMessageId: `${writer}/${n}` })
      }),
    )
    const page = await messagePage(db, user, id, { limit: 200 })
    expect(page?.messages.map(({ seq }) => seq)).toEqual(times(writers * each).map((index) => index + 1))
    // Each writer's own come in the order it sent them.
    for (const writer of times(writers)) {
      const own = page?.messages.filter(({ content }) => content.startsWith(`${writer}/`)).map(({ content }) => content)
      expect(own).toEqual(times(each).map((n) => `${writer}/${n}`))
    }
    expect(await stored(id)).toMatchObject({ message_count: 200, next_seq: '201', version: '201' })
  })

  it('leave no gap where a writer rolls back', async () => {
    const { user, id } = await newChat()
    await append(user, id)
    const undone = write(async (tx) => {
      await appendMessage(tx, user, id, { role: 'user', content: 'never' })
      throw new Error('no')
    })
    await expect(undone).rejects.toThrow('no')
    expect((await append(user, id)).seq).toBe(2)
  })

  it('S4.3: sent twice are kept once, also side by side', async () => {
    const { user, id } = await newChat()
    const send = () => appendMessage(db, user, id, { role: 'user', content: 'hello', clientMessageId: 'm1' })
    const answers = [...(await Promise.all(times(10).map(send))), await send()]
    expect(answers.filter(({ created }) => created)).toHaveLength(1)
    expect(new Set(answers.map(({ message }) => message.id)).size).toBe(1)
    expect(await stored(id)).toMatchObject({ message_count: 1, next_seq: '2', version: '2' })
    // The same id in another chat is another message.
    const other = await createSession(db, user)
    expect((await append(user, other.id, { clientMessageId: 'm1' })).seq).toBe(1)
  })

  it('under a client_message_id that another has are refused, unless that one was changed since', async () => {
    const { user, id } = await newChat()
    const message = await append(user, id, { clientMessageId: 'm1' })
    await expect(append(user, id, { clientMessageId: 'm1', content: 'other' })).rejects.toMatchObject({
      code: 'CHAT_CLIENT_ID_TAKEN',
    })
    await write((tx) => editMessage(tx, user, id, message.id, 'edited'))
    expect(await append(user, id, { clientMessageId: 'm1' })).toMatchObject({ id: message.id, content: 'edited' })
    await write((tx) => deleteMessage(tx, user, id, message.id))
    expect(await append(user, id, { clientMessageId: 'm1' })).toMatchObject({ id: message.id, content: '' })
  })

  it('of a chat that is deleted meanwhile are refused', async () => {
    const { user, id } = await newChat()
    let sent: Promise<unknown> | undefined
    await write(async (tx) => {
      await deleteSession(tx, user, id)
      sent = append(user, id).catch((error: unknown) => error)
      // Only its own role sees what a session waits for.
      const isWaiting = async () =>
        (await db.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"))
          .rowCount !== 0
      await until(isWaiting, { what: 'The wait for the lock' })
    })
    expect(await sent).toMatchObject({ code: 'CHAT_NOT_FOUND' })
  })

  it('C55: come page by page in both directions', async () => {
    const { user, id } = await newChat()
    for (const index of times(12)) await append(user, id, { content: String(index + 1) })
    const seqs = async (options: object) => {
      const page = await messagePage(db, user, id, { limit: 5, ...options })
      return [...(page?.messages.map(({ seq }) => seq) ?? []), page?.has_more]
    }
    expect(await seqs({})).toEqual([8, 9, 10, 11, 12, true])
    expect(await seqs({ before: 8 })).toEqual([3, 4, 5, 6, 7, true])
    expect(await seqs({ before: 3 })).toEqual([1, 2, false])
    expect(await seqs({ after: 0 })).toEqual([1, 2, 3, 4, 5, true])
    expect(await seqs({ after: 7 })).toEqual([8, 9, 10, 11, 12, false])
    expect(await seqs({ after: 12 })).toEqual([false])
    await expect(seqs({ before: 3, after: 1 })).rejects.toMatchObject({ code: 'CHAT_INVALID' })
    expect(await loadFirstPage(db, id)).toEqual(await messagePage(db, user, id))
    const { id: empty } = await createSession(db, user)
    expect(await messagePage(db, user, empty)).toEqual({ messages: [], has_more: false })
  })

  it('can be edited, and the preview follows', async () => {
    const { user, id } = await newChat()
    const [first, last] = [await append(user, id, { content: 'one' }), await append(user, id, { content: 'two' })]
    const edited = await write((tx) => editMessage(tx, user, id, last.id, 'three'))
    expect(edited).toMatchObject({ content: 'three', seq: 2, edited_at: expect.stringMatching(/Z$/) })
    expect(await findSession(db, user, id)).toMatchObject({ last_message_preview: 'three', version: 4 })
    await write((tx) => editMessage(tx, user, id, first.id, 'zero'))
    expect(await findSession(db, user, id)).toMatchObject({ last_message_preview: 'three', message_count: 2 })
    expect(await write((tx) => editMessage(tx, user, id, first.id, 'zero'))).toMatchObject({ content: 'zero' })
    expect((await findSession(db, user, id))?.version).toBe(5)
    const answer = await append(user, id, { role: 'assistant' })
    await expect(write((tx) => editMessage(tx, user, id, answer.id, 'x'))).rejects.toMatchObject({ code: 'CHAT_FORBIDDEN' })
    await expect(write((tx) => editMessage(tx, user, id, randomUUID(), 'x'))).rejects.toMatchObject({
      code: 'CHAT_MESSAGE_NOT_FOUND',
    })
  })

  it('when deleted keep their number and lose their words', async () => {
    const { user, id } = await newChat()
    const kept = await append(user, id, { content: 'kept' })
    const gone = await append(user, id, { content: 'a secret', metadata: { secret: 1 } })
    const tombstone = await write((tx) => deleteMessage(tx, user, id, gone.id, 'req-9'))
    expect(tombstone).toMatchObject({ seq: 2, content: '', metadata: {}, deleted_at: expect.stringMatching(/Z$/) })
    expect(await write((tx) => deleteMessage(tx, user, id, gone.id))).toEqual(tombstone)
    expect(await findSession(db, user, id)).toMatchObject({ message_count: 1, last_message_preview: 'kept' })
    expect((await messagePage(db, user, id))?.messages.map(({ content }) => content)).toEqual(['kept', ''])
    expect((await append(user, id)).seq).toBe(3)
    await expect(write((tx) => editMessage(tx, user, id, gone.id, 'x'))).rejects.toMatchObject({ code: 'CHAT_MESSAGE_DELETED' })
    expect(await audit(gone.id)).toEqual([
      { action: 'delete', actor: user, request_id: 'req-9', details: { session_id: id, seq: 2, role: 'user' } },
    ])
    expect(await audit(kept.id)).toEqual([])
  })

  it('stay in their session, under their number, whoever writes', async () => {
    const { user, id } = await newChat()
    const message = await append(user, id)
    const { id: other } = await createSession(db, user)
    for (const set of [`session_id = '${other}'`, 'seq = 7', `role = 'assistant'`, `client_message_id = 'x'`]) {
      await expect(database.owner.query(`update chat_messages set ${set} where id = '${message.id}'`)).rejects.toMatchObject({
        code: 'PT409',
      })
    }
    const insert = `insert into chat_messages (session_id, seq, role, content) values ('${id}', 9, 'user', 'x')`
    await expect(database.owner.query(insert)).rejects.toMatchObject({ constraint: 'chat_messages_numbered' })
  })

  it('hold their limits', async () => {
    const { user, id } = await newChat()
    const invalid = { code: 'CHAT_INVALID' }
    await expect(append(user, id, { content: '' })).rejects.toMatchObject(invalid)
    await expect(append(user, id, { content: 'x'.repeat(100_001) })).rejects.toMatchObject(invalid)
    await expect(append(user, id, { content: 'a\0' })).rejects.toMatchObject(invalid)
    await expect(append(user, id, { clientMessageId: 'x'.repeat(129) })).rejects.toMatchObject(invalid)
    await expect(messagePage(db, user, id, { limit: 0 })).rejects.toMatchObject(invalid)
    expect((await append(user, id, { content: '🌊'.repeat(100_000) })).content).toHaveLength(200_000)
    expect((await append(user, id, { content: 'back\\u0000slash', metadata: { a: '\\u0000' } })).metadata).toEqual({
      a: '\\u0000',
    })
    // The largest metadata that is let through is let in.
    const largest = { list: times(1000).map(() => 1), small: 1e-30, text: 'x'.repeat(16_384 - 3_100) }
    const kept = await Promise.all(
      times(60).map((pad) => {
        const metadata = { ...largest, text: largest.text + 'x'.repeat(pad) }
        return append(user, id, { metadata }).then(
          () => 'kept',
          (error: { code: string }) => error.code,
        )
      }),
    )
    expect(new Set(kept)).toEqual(new Set(['kept', 'CHAT_INVALID']))
  })
})
