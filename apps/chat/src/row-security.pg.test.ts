import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { chat } from './chat.js'
import { appendMessage } from './messages.js'
import { createSession } from './sessions.js'

let database: AppDatabase
let alice: string
let bob: string
let session: string
let message: string

beforeAll(async () => {
  database = await openAppDatabase(chat)
})

afterAll(() => database?.drop())

beforeEach(async () => {
  ;[alice, bob] = [randomUUID(), randomUUID()]
  session = (await createSession(database.pool, alice, { title: 'of Alice' })).id
  message = (await appendMessage(database.pool, alice, session, { role: 'assistant', content: 'An answer' })).message.id
})

const claims = (sub: string) => ({ sub, role: 'authenticated' })
const as = <T extends object>(user: string, sql: string, values: readonly unknown[] = []) =>
  database.as<T>('authenticated', claims(user), sql, values)

const denied = { code: '42501' }

describe('R121: row security', () => {
  it('S4.7: shows chats and messages to their owner and to nobody else', async () => {
    const count =
      'select (select count(*)::int from chat_sessions) as chats, (select count(*)::int from chat_messages) as messages'
    expect(await as(alice, count)).toEqual([{ chats: 1, messages: 1 }])
    expect(await as(bob, count)).toEqual([{ chats: 0, messages: 0 }])
    expect(await as(bob, 'select from chat_messages where session_id = $1', [session])).toEqual([])
    await expect(database.as('anon', { role: 'anon' }, 'select from chat_sessions')).rejects.toMatchObject(denied)
    await expect(database.as('anon', { role: 'anon' }, 'select from chat_messages')).rejects.toMatchObject(denied)
  })

  it('S4.7: lets a user write user messages, and no others', async () => {
    const insert = 'insert into chat_messages (session_id, role, content) values ($1, $2, $3) returning seq::int'
    expect(await as(alice, insert, [session, 'user', 'hello'])).toEqual([{ seq: 2 }])
    for (const role of ['assistant', 'system', 'tool'])
      await expect(as(alice, insert, [session, role, 'forged'])).rejects.toMatchObject(denied)
    // What was refused took no number.
    expect(await as(alice, insert, [session, 'user', 'again'])).toEqual([{ seq: 3 }])
  })

  it("answers a stranger's chat, a deleted one and none alike", async () => {
    const insert = "insert into chat_messages (session_id, role, content) values ($1, 'user', 'x')"
    const deleted = (await createSession(database.pool, alice)).id
    await as(alice, "update chat_sessions set status = 'deleted' where id = $1", [deleted])
    const errors: unknown[] = []
    for (const id of [session, deleted, randomUUID()])
      errors.push(await as(bob, insert, [id]).catch((error: Error) => error.message))
    errors.push(await as(alice, insert, [deleted]).catch((error: Error) => error.message))
    expect(new Set(errors)).toEqual(new Set(['new row violates row-level security policy for table "chat_messages"']))
  })

  it('keeps numbers, counters, owners and times from users', async () => {
    for (const set of [
      'next_seq = 1',
      'message_count = 0',
      `user_id = '${bob}'`,
      'version = 1',
      "undo_until = 'infinity'",
      'created_at = now()',
    ])
      await expect(as(alice, `update chat_sessions set ${set} where id = $1`, [session])).rejects.toMatchObject(denied)
    for (const set of ['seq = 9', "role = 'user'", 'created_at = now()'])
      await expect(as(alice, `update chat_messages set ${set} where id = $1`, [message])).rejects.toMatchObject(denied)
    const forged = "insert into chat_messages (session_id, role, content, seq) values ($1, 'user', 'x', 1)"
    await expect(as(alice, forged, [session])).rejects.toMatchObject(denied)
    await expect(as(alice, 'insert into chat_sessions (user_id) values ($1)', [bob])).rejects.toMatchObject(denied)
    expect(await as(alice, 'insert into chat_sessions default values returning user_id')).toEqual([{ user_id: alice }])
  })

  it('lets the owner rename, archive and delete, and a stranger nothing', async () => {
    const rename = "update chat_sessions set title = 'new' where id = $1 returning title"
    expect(await as(bob, rename, [session])).toEqual([])
    expect(await as(alice, rename, [session])).toEqual([{ title: 'new' }])
    const remove = "update chat_sessions set status = 'deleted' where id = $1 returning undo_until > now() as undo"
    expect(await as(bob, remove, [session])).toEqual([])
    expect(await as(alice, remove, [session])).toEqual([{ undo: true }])
    const { rows } = await database.owner.query('select actor, actor_role, action from chat_audit where record_id = $1', [
      session,
    ])
    expect(rows).toEqual([{ actor: alice, actor_role: 'authenticated', action: 'delete' }])
    await expect(as(alice, 'delete from chat_sessions where id = $1', [session])).rejects.toMatchObject(denied)
    await expect(as(alice, 'delete from chat_messages where id = $1', [message])).rejects.toMatchObject(denied)
  })

  it("lets the owner edit user messages, and delete an assistant's without touching its words", async () => {
    const edit = "update chat_messages set content = 'forged' where id = $1 returning id"
    await expect(as(alice, edit, [message])).rejects.toMatchObject(denied)
    expect(await as(bob, edit, [message])).toEqual([])
    const smuggled = "update chat_messages set content = 'forged', deleted_at = now() where id = $1 returning content"
    expect(await as(alice, smuggled, [message])).toEqual([{ content: '' }])
    const back = 'update chat_messages set deleted_at = null where id = $1'
    await expect(as(alice, back, [message])).rejects.toMatchObject({ code: 'PT409' })
  })

  it.each(['chat_audit', 'chat_import_runs', 'chat_import_blocks', 'chat_import_rejects'])(
    'shows %s to no user',
    async (table) => {
      await expect(as(alice, `select from ${table}`)).rejects.toMatchObject(denied)
      await expect(database.as('anon', {}, `select from ${table}`)).rejects.toMatchObject(denied)
    },
  )

  it('lets nobody but its triggers write the audit', async () => {
    const insert = `insert into chat_audit (actor, action, table_name, record_id) values ('x', 'purge', 'chat_sessions', '${session}')`
    await expect(database.pool.query(insert)).rejects.toMatchObject({ code: 'TM_POSTGRES_PERMISSION' })
    await expect(database.as('service_role', {}, insert)).rejects.toMatchObject(denied)
    await expect(database.as('service_role', {}, 'delete from chat_audit')).rejects.toMatchObject(denied)
  })
})
