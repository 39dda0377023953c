import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { runCli } from '../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../testing/project/cli-process.js'
import { createPreparedProject } from '../testing/project/prepared-project.js'
import { until } from '../time/until.js'

interface ToldLine {
  readonly type: string
  readonly position: string
  readonly table: string
  readonly kind: string
  readonly new: Record<string, string | null> | null
  readonly old: Record<string, string | null> | null
  readonly last: boolean
}

interface Slots {
  readonly slots: readonly { readonly name: string; readonly state: string; readonly temporary: boolean }[]
}

const hasRedis = (await findRedisServer()) !== undefined

let dir: string
let remove: () => Promise<void>
let server: CliProcess

const json = async (args: readonly string[], env: Record<string, string> = {}) => {
  const { exitCode, stdout, stderr } = await runCli([...args, '--json'], { cwd: dir, env })
  return { exitCode, stderr, data: JSON.parse(stdout) as Record<string, unknown> & { error?: { code: string } } }
}
const sql = async (text: string): Promise<void> => {
  const { exitCode, stderr } = await json(['db', 'psql', '-c', text])
  if (exitCode !== 0) throw new Error(stderr)
}
const slots = async (): Promise<Slots['slots']> => ((await json(['feed', 'slots'])).data as unknown as Slots).slots
const told = ({ stdout }: CliProcess): ToldLine[] =>
  stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ToldLine)

const serve = async (env: Record<string, string> = {}): Promise<string> => {
  // Realtime follows by itself; here the feed is looked at alone.
  server = startCli(['start', '--json'], { cwd: dir, env: { PORT: '0', TIDEMARK_REALTIME_ENABLED: 'false', ...env } })
  return untilServing(server).catch((error: unknown) => {
    throw new Error(server.stdout, { cause: error })
  })
}

const end = async (process: CliProcess, signal: NodeJS.Signals = 'SIGTERM') => {
  process.child.kill(signal)
  return process.ended
}

beforeAll(async () => {
  const folder = await createPreparedProject()
  dir = folder.dir
  remove = folder.remove
  await serve()
  await sql(`create table things (id bigint generated always as identity primary key, name text, note text);
             create table keyless (name text);
             create table others (id int primary key)`)
})

afterAll(async () => {
  await end(server)
  await remove()
})

describe('a project in which nothing is followed', () => {
  test('has no slot, and says that it follows nothing', async () => {
    expect(await slots()).toEqual([])
    const { exitCode, data } = await json(['feed', 'lag'])
    expect(exitCode).toBe(0)
    expect(data).toMatchObject({ node: null, slots: [], followers: [], outbox: [], stream: null })
    expect((await runCli(['feed', 'slots'], { cwd: dir })).stdout).toContain('no slots')
  })
})

describe('feed outbox', () => {
  const outbox = async (...args: string[]) => (await json(['feed', 'outbox', ...args])).data

  test('is put on tables, says what it holds for whom, is pruned, and goes again', async () => {
    expect(await outbox('status')).toMatchObject({ tables: [], rows: 0, readers: [] })
    expect((await json(['feed', 'outbox', 'install'])).exitCode).toBe(2)
    expect(await outbox('install', 'others', '--dry-run')).toMatchObject({ dryRun: true, tables: ['public.others'] })
    expect(await outbox('install', 'others')).toEqual({ installed: [{ table: 'public.others', always: true }] })
    await sql('insert into others values (100), (101)')
    expect(await outbox('status')).toMatchObject({ tables: ['public.others'], rows: 2, readers: [] })
    expect((await runCli(['feed', 'outbox', 'status'], { cwd: dir })).stdout).toContain('that nobody reads')
    expect(await outbox('prune')).toEqual({ pruned: 2 })
    expect(await outbox('prune', '--forget', 'nobody', '--yes')).toMatchObject({ error: { code: 'TM_CLI_USAGE' } })
    await sql('insert into others values (102)')
    expect((await runCli(['feed', 'outbox', 'remove'], { cwd: dir })).exitCode).not.toBe(0)
    expect(await outbox('remove', '--yes')).toEqual({ removed: ['public.others'], rows: 1 })
    expect(await outbox('status')).toMatchObject({ tables: [], rows: 0 })
    await sql('delete from others')
  })
})

describe('feed tail', () => {
  test('prints changes as they come, one JSON object a line, and leaves nothing behind', async () => {
    const tail = startCli(['feed', 'tail', '--json'], { cwd: dir })
    await until(() => told(tail).length > 0, { timeoutMs: 20_000 })
    expect(told(tail)[0]).toMatchObject({ type: 'reset', reason: 'start' })
    expect(await slots()).toMatchObject([{ state: 'read', temporary: true }])
    await sql("insert into things (name, note) values ('a', null), ('b', 'x y')")
    await sql("update things set name = 'c' where name = 'b'")
    await sql("delete from things where name = 'a'")
    await sql('insert into others values (7)')
    await until(() => told(tail).length === 6)
    expect(told(tail).slice(1)).toMatchObject([
      { type: 'change', table: 'public.things', kind: 'insert', new: { id: '1', name: 'a', note: null }, old: null, last: false },
      { kind: 'insert', new: { id: '2', name: 'b', note: 'x y' }, last: true },
      { kind: 'update', new: { id: '2', name: 'c', note: 'x y' }, last: true },
      { kind: 'delete', old: { id: '1' }, new: null },
      { table: 'public.others', new: { id: '7' } },
    ])
    const { exitCode, stderr } = await end(tail, 'SIGINT')
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('✗')])
    await until(async () => (await slots()).length === 0)
    const left = await json(['db', 'psql', '-c', 'select count(*) from pg_publication where pubname like $$tidemark%$$'])
    expect(left.data).toMatchObject({ results: [{ rows: [{ count: '0' }] }] })
  })

  test('of some tables tells only theirs, in lines for people', async () => {
    const tail = startCli(['feed', 'tail', '--tables', 'others'], { cwd: dir })
    await until(() => tail.stdout.includes('from here on'), { timeoutMs: 20_000 })
    await sql("insert into things (name) values ('unseen')")
    await sql('insert into others values (8)')
    await until(() => tail.stdout.includes('id=8'))
    expect(tail.stdout).toMatch(/\d\d:\d\d:\d\d\.\d{3} insert {3}public\.others id=8/)
    expect(tail.stdout).not.toContain('unseen')
    await end(tail, 'SIGINT')
  })

  test('a publication that a killed tail left behind is gone with the next one', async () => {
    const killed = startCli(['feed', 'tail', '--json'], { cwd: dir })
    await until(() => told(killed).length > 0, { timeoutMs: 20_000 })
    await end(killed, 'SIGKILL')
    const next = startCli(['feed', 'tail', '--json'], { cwd: dir })
    await until(() => told(next).length > 0, { timeoutMs: 20_000 })
    const { data } = await json(['db', 'psql', '-c', 'select count(*) from pg_publication where pubname like $$tidemark%$$'])
    expect(data).toMatchObject({ results: [{ rows: [{ count: '1' }] }] })
    await end(next, 'SIGINT')
  })

  test.each([
    [['--tables', 'keyless'], 3, 'TM_FEED_IDENTITY'],
    [['--tables', 'missing'], 3, 'TM_FEED_TABLE'],
    [['--from', 'nonsense'], 1, 'TM_FEED_POSITION'],
    [['--from', 'wal-1-1-1-a:1'], 1, 'TM_FEED_NOT_KEPT'],
    [['--tables', 'a.b.c'], 2, 'TM_CLI_USAGE'],
  ])('what cannot be: %j ends with %i', async (args, code, error) => {
    const { exitCode, data } = await json(['feed', 'tail', ...args])
    expect([exitCode, data.error?.code]).toEqual([code, error])
  })
})

describe.skipIf(!hasRedis)('a server that carries tables', () => {
  let url: string
  let token: string
  const admin = (path: string, init: RequestInit = {}) =>
    fetch(`${url}/admin/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } })

  beforeAll(async () => {
    await end(server)
    url = await serve({ TIDEMARK_FEED_TABLES: 'things,public.others' })
    token = (JSON.parse(server.stdout) as { admin: { token: string } }).admin.token
  })

  test('reads the log through one slot, and says how fresh it is on /health and /metrics', async () => {
    const health = async () =>
      ((await (await fetch(`${url}/health`)).json()) as { components: { feed?: { status: string; detail: string } } }).components
        .feed
    await until(async () => (await health())?.status === 'up')
    expect((await health())?.detail).toMatch(/^reading, fresh as of \d+ ms ago$/)
    expect(await slots()).toMatchObject([{ name: expect.stringMatching(/^tidemark_\d+_feed$/), state: 'read', temporary: false }])
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain('tidemark_feed_role_state{role="reading"} 1')
    expect(metrics).toMatch(/tidemark_feed_freshness_seconds\{follower="node"\} 0\.\d+/)
    expect(metrics).toMatch(/tidemark_feed_headroom_bytes \d+/)
  })

  test('feed lag tells what the server, Postgres and Redis know', async () => {
    await sql("insert into things (name) values ('told')")
    await until(async () => ((await json(['feed', 'lag'])).data as { stream?: { entries: number } }).stream?.entries === 1)
    const { exitCode, data } = await json(['feed', 'lag'])
    expect(exitCode).toBe(0)
    expect(data).toMatchObject({
      node: { role: 'reading', problem: null, freshnessMs: expect.any(Number) },
      slots: [{ state: 'read' }],
      stream: { beating: true },
    })
    const text = await runCli(['feed', 'lag'], { cwd: dir })
    expect(text.stdout).toContain('This server: reading, fresh as of')
    expect(text.stdout).toContain('1 entries in wal-')
  })

  test('GET /feed/tail streams, and goes on from Last-Event-ID; feed tail --from does the same', async () => {
    let begun = ''
    const read = async (path: string, headers: Record<string, string>, wanted: number) => {
      const controller = new AbortController()
      const response = await admin(path, { headers, signal: controller.signal })
      expect(response.headers.get('content-type')).toContain('text/event-stream')
      let text = ''
      const decoder = new TextDecoder()
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        text += decoder.decode(chunk, { stream: true })
        begun = text
        if ((text.match(/^event: change$/gm) ?? []).length >= wanted) break
      }
      controller.abort()
      return text
    }
    const live = read('/feed/tail?tables=public.things', {}, 2)
    // A slot is listed before it begins.
    await until(() => begun.includes('event: reset'))
    expect(await slots()).toHaveLength(2)
    await sql("insert into things (name) values ('one')")
    await sql("insert into things (name) values ('two')")
    const events = (text: string): ToldLine[] =>
      [...text.matchAll(/^data: (.*)$/gm)]
        .map(([, data]) => JSON.parse(data ?? '') as ToldLine)
        .filter(({ type }) => type === 'change')
    const [one, two] = events(await live)
    expect([one?.new?.['name'], two?.new?.['name']]).toEqual(['one', 'two'])
    const position = one?.position ?? ''
    expect(events(await read('/feed/tail', { 'last-event-id': position }, 1))).toMatchObject([{ new: { name: 'two' } }])
    const tail = startCli(['feed', 'tail', '--json', '--from', position], { cwd: dir })
    await until(() => told(tail).length > 0, { timeoutMs: 20_000 })
    await sql('insert into others values (99)')
    await until(() => told(tail).length > 1)
    expect(told(tail)).toMatchObject([{ new: { name: 'two' } }, { table: 'public.others', new: { id: '99' } }])
    expect((await end(tail, 'SIGINT')).exitCode).toBe(0)
    const [epoch] = position.split(':')
    const tooOld = await json(['feed', 'tail', '--from', `${epoch}:1`])
    expect([tooOld.exitCode, tooOld.data.error?.code]).toEqual([1, 'TM_FEED_NOT_KEPT'])
  })

  test('a slot that is read is not dropped; a confirmation is asked for; others are none of ours', async () => {
    const [slot] = await slots()
    const name = slot?.name ?? ''
    const asked = await json(['feed', 'slots', '--drop', name])
    expect([asked.exitCode, asked.data.error?.code]).toEqual([2, 'TM_CLI_UNCONFIRMED'])
    const busy = await json(['feed', 'slots', '--drop', name, '--yes'])
    expect([busy.exitCode, busy.data.error?.code]).toEqual([6, 'TM_FEED_SLOT_BUSY'])
    const missing = await json(['feed', 'slots', '--drop', 'nobody', '--yes'])
    expect([missing.exitCode, missing.data.error?.code]).toEqual([1, 'TM_FEED_SLOT_MISSING'])
    expect((await admin('/feed/slots/nobody', { method: 'DELETE' })).status).toBe(404)
  })

  test('once nobody reads it, it can be dropped', async () => {
    await end(server)
    await serve()
    const [slot] = await slots()
    expect(slot?.state).toBe('idle')
    const dropped = await json(['feed', 'slots', '--drop', slot?.name ?? '', '--yes'])
    expect([dropped.exitCode, dropped.data]).toEqual([0, { dropped: slot?.name }])
    expect(await slots()).toEqual([])
  })
})

describe('a feed that cannot start', () => {
  test('is no reason for the server not to: one line says so, and /health', async () => {
    await end(server)
    const url = await serve({ TIDEMARK_FEED_TABLES: 'nowhere' })
    // While it tries once more, there is no problem to tell for a moment.
    await until(async () => {
      const { components } = (await (await fetch(`${url}/health`)).json()) as {
        components: Record<string, { status: string; detail: string }>
      }
      return components['feed']?.status === 'down' && components['feed'].detail.includes('nowhere')
    })
    await until(() => server.stderr.includes('Feed: '))
    const problem = async () => ((await json(['feed', 'lag'])).data as { node?: { problem: string | null } }).node?.problem
    await until(async () => (await problem())?.includes('nowhere') === true, { timeoutMs: 20_000 })
  })
})
