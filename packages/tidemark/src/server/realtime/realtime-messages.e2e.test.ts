import { createHmac } from 'node:crypto'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { ConnectionPage } from '../../realtime/connections/connections.js'
import { runCli } from '../../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../../testing/project/cli-process.js'
import { createPreparedProject } from '../../testing/project/prepared-project.js'
import { until } from '../../time/until.js'
import type { ProjectStatus } from '../operations/status.js'

const adminToken = 'the-admin-token-of-this-test-0123456789'

const userId = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

describe('who sees what, in a server on embedded parts', () => {
  let dir: string
  let remove: () => Promise<void>
  let server: CliProcess
  let url: string
  let status: ProjectStatus
  let sql: pg.Client
  const clients: SupabaseClient[] = []

  beforeAll(async () => {
    const folder = await createPreparedProject()
    dir = folder.dir
    remove = folder.remove
    server = startCli(['start', '--json'], {
      cwd: dir,
      env: { PORT: '0', TIDEMARK_ADMIN_TOKEN: adminToken, SUPABASE_JWT_SECRET: 'a secret of at least thirty-two characters' },
    })
    url = await untilServing(server)
    status = JSON.parse((await runCli(['status', '--json'], { cwd: dir })).stdout)
    sql = new pg.Client({ connectionString: (await runCli(['db', 'url'], { cwd: dir })).stdout.trim() })
    await sql.connect()
  })

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.realtime.disconnect()))
    await sql.end()
    server.child.kill('SIGTERM')
    await server.ended
    await remove()
  })

  const token = (n: number): string => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = { sub: userId(n), role: 'authenticated', aud: 'authenticated', exp: Math.floor(Date.now() / 1000) + 3600 }
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
    return `${signed}.${createHmac('sha256', 'a secret of at least thirty-two characters').update(signed).digest('base64url')}`
  }

  const client = async (n?: number): Promise<SupabaseClient> => {
    const made = createClient(url, status.keys.anon, {
      auth: { persistSession: false, autoRefreshToken: false },
      realtime: { transport: WebSocket as never },
    })
    if (n !== undefined) await made.realtime.setAuth(token(n))
    clients.push(made)
    return made
  }

  test('a private channel is for those whom a policy lets in, and the database broadcasts into it', async () => {
    await sql.query(
      `create policy reads on realtime.messages for select to authenticated using (realtime.topic() = 'room:' || auth.uid())`,
    )
    await sql.query(`select realtime.send('{"n": 1}', 'told', $1), realtime.send('{"n": 2}', 'told', 'room:other')`, [
      `room:${userId(1)}`,
    ])
    const [member, outsider, open] = [await client(1), await client(2), await client()]
    const heard: unknown[] = []
    const statuses: string[][] = [[], [], []]
    const topic = `room:${userId(1)}`
    const config = { private: true, broadcast: { replay: { since: Date.now() - 60_000, limit: 10 } } }
    member
      .channel(topic, { config })
      .on(
        'broadcast',
        { event: 'told' },
        ({ payload, meta }) =>
          void heard.push({ n: payload['n'], replayed: meta?.replayed ?? false, hasId: typeof meta?.id === 'string' }),
      )
      .subscribe((told) => void statuses[0]?.push(told))
    outsider.channel(topic, { config: { private: true } }).subscribe((told) => void statuses[1]?.push(told))
    open
      .channel(topic)
      .on('broadcast', { event: 'told' }, ({ payload }) => void heard.push(payload))
      .subscribe((told) => void statuses[2]?.push(told))
    await until(() => statuses[0]?.[0] === 'SUBSCRIBED' && statuses[1]?.[0] !== undefined && statuses[2]?.[0] === 'SUBSCRIBED')
    expect(statuses[1]?.[0]).toBe('CHANNEL_ERROR')
    await until(() => heard.length === 1)
    await sql.query(`select realtime.send('{"n": 3}', 'told', $1)`, [topic])
    await until(() => heard.length === 2)
    expect(heard).toEqual([
      { n: 1, replayed: true, hasId: true },
      { n: 3, replayed: false, hasId: true },
    ])
  })

  test('the inspector hears what a user would, by the same rules: of channels, of rows, and of who is present', async () => {
    const topic = `room:${userId(1)}`
    await sql.query(`create table inspected (id int primary key, owner uuid not null)`)
    await sql.query(`alter table inspected enable row level security; grant select on inspected to authenticated`)
    await sql.query(
      `create policy own on inspected for select to authenticated using (owner = (select auth.uid())); alter publication supabase_realtime add table inspected`,
    )
    const headers = { authorization: `Bearer ${adminToken}` }
    const listeners = async (): Promise<number> => {
      const answer = await fetch(`${url}/admin/v1/realtime/channels`, { headers })
      const { channels } = (await answer.json()) as { channels: { topic: string; private: boolean; listeners: number }[] }
      return channels.find((one) => one.topic === topic && one.private)?.listeners ?? 0
    }
    const before = await listeners()
    const ending = new AbortController()
    const inspect = async (query: Record<string, string>): Promise<{ event: string; payload: Record<string, unknown> }[]> => {
      const heard: { event: string; payload: Record<string, unknown> }[] = []
      const search = new URLSearchParams({ private: 'true', ...query })
      const response = await fetch(`${url}/admin/v1/realtime/inspect?${search}`, { headers, signal: ending.signal })
      const read = async (): Promise<void> => {
        let text = ''
        const decoder = new TextDecoder()
        for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
          text += decoder.decode(chunk, { stream: true })
          const blocks = text.split('\n\n')
          text = blocks.pop() ?? ''
          heard.push(
            ...blocks.flatMap((block) =>
              (/^event: message\ndata: (.*)$/m.exec(block) ?? []).slice(1).map((data) => JSON.parse(data)),
            ),
          )
        }
      }
      void read().catch(() => undefined)
      return heard
    }
    const as = (n: number) => ({ topic, role: 'authenticated', tables: 'public.inspected', user: userId(n) })
    // Whoever a token names, as the user's id or among its claims.
    const { user: sub, ...byClaims } = as(1)
    const [member, outsider] = [await inspect({ ...byClaims, claims: JSON.stringify({ sub }) }), await inspect(as(2))]
    await until(() => member.some(({ payload }) => payload['status'] === 'ok' && payload['extension'] === 'postgres_changes'), {
      timeoutMs: 30_000,
    })
    await until(() => outsider.some(({ event }) => event === 'phx_reply'))
    expect(outsider[0]).toMatchObject({ payload: { status: 'error' } })
    expect(await listeners()).toBe(before + 1)
    await sql.query(`insert into inspected values (1, $1), (2, $2)`, [userId(2), userId(1)])
    await sql.query(`select realtime.send('{"n": 4}', 'told', $1)`, [topic])
    const has = (wanted: string) => member.some(({ payload }) => JSON.stringify(payload).includes(wanted))
    await until(() => has('"n":4') && has('"id":2'), { timeoutMs: 30_000 })
    expect(has('"id":1')).toBe(false)
    expect(outsider.filter(({ event }) => event !== 'phx_reply')).toEqual([])
    ending.abort()
    await until(async () => (await listeners()) === before)
    const { rows: noted } = await sql.query(
      `select actor, record_id, new_data -> 'query' as query from audit_log where action = 'GET /realtime/inspect' order by id`,
    )
    expect(noted).toMatchObject([
      { actor: 'admin token', record_id: topic, query: { claims: JSON.stringify({ sub }) } },
      { actor: 'admin token', record_id: topic, query: { user: userId(2) } },
    ])
  })

  test('an operator lists connections, and closes one, which the audit log tells', async () => {
    const made = await client(3)
    const statuses: string[] = []
    made.channel('closing').subscribe((told) => void statuses.push(told))
    await until(() => statuses[0] === 'SUBSCRIBED')
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' }
    const list = async (query: string) => {
      const answer = await fetch(`${url}/admin/v1/realtime/connections?${query}`, { headers })
      return { status: answer.status, page: (await answer.json()) as ConnectionPage }
    }
    const close = async (id: string) => {
      const answer = await fetch(`${url}/admin/v1/realtime/connections/close`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ id }),
      })
      return { status: answer.status, body: await answer.json() }
    }
    const { page } = await list(`channel=closing&user=${userId(3)}&protocol=supabase`)
    expect(page.connections).toMatchObject([{ role: 'authenticated', channels: ['closing'] }])
    expect((await list('limit=501')).status).toBe(400)
    const { id } = page.connections[0]!
    expect(await close(id)).toMatchObject({ status: 200, body: { id, protocol: 'supabase', code: 1008 } })
    await until(async () => (await list('channel=closing')).page.connections.some((one) => one.id !== id))
    expect(await close(id)).toMatchObject({ status: 404, body: { error: { code: 'TM_REALTIME_NO_CONNECTION' } } })
    const { rows } = await sql.query(
      `select actor, record_id from audit_log where action = 'POST /realtime/connections/close' and not new_data ? 'status'`,
    )
    expect(rows).toEqual([
      { actor: 'admin token', record_id: id },
      { actor: 'admin token', record_id: id },
    ])
  })

  test('of a table under row security each user hears of its own rows, and nobody of the others (RT-1)', async () => {
    await sql.query(`create table notes (id int primary key, owner uuid not null, body text)`)
    await sql.query(
      `alter table notes replica identity full; alter table notes enable row level security; grant select on notes to anon, authenticated`,
    )
    await sql.query(
      `create policy own on notes for select to authenticated using (owner = (select auth.uid())); alter publication supabase_realtime add table notes`,
    )
    const heard: string[][] = [[], [], []]
    let ready = 0
    for (const [index, made] of [await client(1), await client(2), await client()].entries()) {
      made
        .channel('notes')
        .on('postgres_changes', { event: '*', schema: 'public', table: 'notes' }, (change) => {
          const { id } = (change.eventType === 'DELETE' ? change.old : change.new) as { id: number }
          heard[index]?.push(`${change.eventType} ${id}`)
        })
        .on('system', {}, ({ status: told }: { status: string }) => {
          if (told === 'ok') ready += 1
        })
        .subscribe()
    }
    await until(() => ready === 3, { timeoutMs: 30_000 })
    await sql.query(`insert into notes values (1, $1, 'a'), (2, $2, 'b')`, [userId(1), userId(2)])
    // It changes hands, and its place in the table: one sees it go, the other sees it come.
    await sql.query(`update notes set owner = $1 where id = 1`, [userId(2)])
    await sql.query(`delete from notes`)
    await sql.query(`insert into notes values (3, $1, 'c'), (4, $2, 'd')`, [userId(1), userId(2)])
    await until(() => heard[0]?.at(-1) === 'INSERT 3' && heard[1]?.at(-1) === 'INSERT 4')
    expect(heard).toEqual([
      ['INSERT 1', 'DELETE 1', 'INSERT 3'],
      ['INSERT 2', 'INSERT 1', 'DELETE 2', 'DELETE 1', 'INSERT 4'],
      [],
    ])
    // A policy that is gone is gone for what comes after.
    await sql.query('drop policy own on notes')
    await sql.query(`insert into notes values (5, $1, 'e')`, [userId(1)])
    await sql.query(`create policy own on notes for select to authenticated using (owner = (select auth.uid()) and id > 5)`)
    await sql.query(`insert into notes values (6, $1, 'f')`, [userId(1)])
    await until(() => heard[0]?.at(-1) === 'INSERT 6')
    expect(heard[0]?.filter((told) => told !== 'INSERT 6')).toEqual(['INSERT 1', 'DELETE 1', 'INSERT 3'])
  })
})
