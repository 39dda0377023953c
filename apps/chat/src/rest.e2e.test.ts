import { fileURLToPath } from 'node:url'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import ws from 'ws'
import { runCli } from '../../../packages/tidemark/src/testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../../../packages/tidemark/src/testing/project/cli-process.js'
import { createPreparedProject } from '../../../packages/tidemark/src/testing/project/prepared-project.js'
import { chat } from './chat.js'

interface User {
  readonly id: string
  readonly client: SupabaseClient
}

let dir: string
let remove: () => Promise<void>
let server: CliProcess
let database: pg.Client
let url: string
let anonKey: string
let alice: User
let bob: User
let session: string

const clientOf = (key: string) =>
  createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: ws as never } })

/** Signs up, as somebody does in a browser. */
const signUp = async (name: string): Promise<User> => {
  const client = clientOf(anonKey)
  const { data, error } = await client.auth.signUp({ email: `${name}@example.com`, password: `the password of ${name}` })
  expect(error).toBeNull()
  expect(data.session?.access_token).toBeTypeOf('string')
  return { id: data.user?.id ?? '', client }
}

beforeAll(async () => {
  const folder = await createPreparedProject()
  ;({ dir, remove } = folder)
  server = startCli(['dev', '--json'], { cwd: dir, env: { PORT: '0' } })
  url = await untilServing(server)
  const status = JSON.parse(server.stdout) as { database: { url: string }; keys: { anon: string } }
  anonKey = status.keys.anon
  const up = await runCli(['schema', 'up', '--migrations', fileURLToPath(chat.migrations)], { cwd: dir })
  expect([up.exitCode, up.stderr]).toEqual([0, ''])
  database = new pg.Client({ connectionString: status.database.url })
  await database.connect()
  alice = await signUp('alice')
  bob = await signUp('bob')
  const made = await alice.client.from('chat_sessions').insert({ title: 'of Alice' }).select('id, user_id').single()
  expect(made).toMatchObject({ status: 201, data: { user_id: alice.id } })
  session = made.data?.id
  await alice.client.from('chat_messages').insert({ session_id: session, role: 'user', content: 'hello' }).throwOnError()
})

afterAll(async () => {
  await database?.end()
  server.child.kill('SIGTERM')
  await server.ended
  await remove()
})

const refused = { status: 403, error: { code: '42501' } }

describe('S4 step 7: chats over REST, as their users', () => {
  it('C76: the owner reads it, another user finds nothing: by its id, in a list, through a message, in a count', async () => {
    const read = 'id, title, chat_messages(seq, role, content)'
    expect((await alice.client.from('chat_sessions').select(read)).data).toEqual([
      { id: session, title: 'of Alice', chat_messages: [{ seq: 1, role: 'user', content: 'hello' }] },
    ])
    expect(await bob.client.from('chat_sessions').select().eq('id', session).single()).toMatchObject({
      status: 406,
      error: { code: 'PGRST116' },
    })
    expect((await bob.client.from('chat_sessions').select(read)).data).toEqual([])
    expect(
      (await bob.client.from('chat_messages').select('content, chat_sessions!inner(title)').eq('session_id', session)).data,
    ).toEqual([])
    expect((await bob.client.from('chat_messages').select('*', { count: 'exact', head: true })).count).toBe(0)
  })

  it("SQL with the other user's claims says the same", async () => {
    const { stdout } = await runCli(['db', 'url', '--role', 'authenticator'], { cwd: dir })
    const authenticator = new pg.Client({ connectionString: stdout.trim() })
    await authenticator.connect()
    try {
      await authenticator.query('begin; set local role authenticated')
      await authenticator.query("select set_config('request.jwt.claims', $1, true)", [
        JSON.stringify({ sub: bob.id, role: 'authenticated' }),
      ])
      for (const table of ['chat_sessions', 'chat_messages'])
        expect((await authenticator.query(`select from public.${table}`)).rowCount, table).toBe(0)
    } finally {
      await authenticator.end()
    }
  })

  it('nobody writes as the assistant, into a chat of somebody else, or over the numbers', async () => {
    const write = (user: User, values: object) => user.client.from('chat_messages').insert({ session_id: session, ...values })
    expect(await write(bob, { role: 'assistant', content: 'forged' })).toMatchObject(refused)
    expect(await write(bob, { role: 'user', content: 'a stranger' })).toMatchObject(refused)
    for (const role of ['assistant', 'system', 'tool'])
      expect(await write(alice, { role, content: 'forged' }), role).toMatchObject(refused)
    expect(await write(alice, { role: 'user', content: 'x', seq: 1 })).toMatchObject(refused)
    expect(await bob.client.from('chat_sessions').update({ title: 'mine' }).eq('id', session).select()).toMatchObject({
      data: [],
    })
    expect(await alice.client.from('chat_sessions').update({ user_id: bob.id }).eq('id', session)).toMatchObject(refused)
    expect(await alice.client.from('chat_sessions').delete().eq('id', session)).toMatchObject(refused)
    const { rows } = await database.query('select role, content from chat_messages where session_id = $1', [session])
    expect(rows).toEqual([{ role: 'user', content: 'hello' }])
  })

  it('without a sign-in there is nothing; the audit is for nobody', async () => {
    for (const table of ['chat_sessions', 'chat_messages', 'chat_audit'])
      expect(await clientOf(anonKey).from(table).select(), table).toMatchObject({ status: 401, error: { code: '42501' } })
    for (const table of ['chat_audit', 'chat_import_runs', 'chat_import_rejects'])
      expect(await alice.client.from(table).select(), table).toMatchObject(refused)
  })
})
