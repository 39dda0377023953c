import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CliProcess, startCli, untilServing } from '../../testing/project/cli-process.js'
import { createPreparedProject } from '../../testing/project/prepared-project.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { ProjectStatus } from '../operations/status.js'

interface Event {
  readonly id: string
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server told.
  readonly data: any
}

/** What a client of Server-Sent Events makes of a response. */
const readEvents = (response: Response) => {
  const events: Event[] = []
  let lastId = ''
  const reading = (async () => {
    let rest = ''
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      rest += Buffer.from(chunk).toString()
      const blocks = rest.split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
        lastId = field('id') ?? lastId
        const data = field('data')
        if (data !== undefined) events.push({ id: lastId, event: field('event') ?? 'message', data: JSON.parse(data) })
      }
    }
  })().catch(() => undefined)
  return { events, reading }
}

describe('changes over Server-Sent Events', () => {
  let folder: Awaited<ReturnType<typeof createPreparedProject>>
  let server: CliProcess
  let url: string
  let status: ProjectStatus
  let sql: pg.Client
  const cleanups = useCleanups()

  const serve = async (): Promise<void> => {
    server = startCli(['dev', '--json'], { cwd: folder.dir, env: { PORT: '0' } })
    url = await untilServing(server)
    status = JSON.parse(server.stdout)
  }

  beforeAll(async () => {
    folder = await createPreparedProject()
    await serve()
    sql = new pg.Client({ connectionString: status.database.url })
    sql.on('error', () => undefined)
    await sql.connect()
    await sql.query(`
      create table public.leads (id int primary key, status text, owner text);
      alter table public.leads enable row level security;
      alter table public.leads replica identity full;
      create policy shown on public.leads for select to anon using (owner = 'all');
      grant select on public.leads to anon, service_role;
      alter publication supabase_realtime add table public.leads`)
  })
  afterAll(async () => {
    await sql.end().catch(() => undefined)
    server.child.kill('SIGTERM')
    await server.ended
    await folder.remove()
  })

  const connect = async (query: string, headers: Readonly<Record<string, string>>) => {
    const aborting = new AbortController()
    cleanups.push(() => aborting.abort())
    const response = await fetch(`${url}/realtime/v1/changes?${query}`, { headers, signal: aborting.signal })
    return { response, ...readEvents(response), drop: () => aborting.abort() }
  }

  const ready = async (query: string, headers: Readonly<Record<string, string>>) => {
    const stream = await connect(query, headers)
    expect(stream.response.status).toBe(200)
    await until(() => stream.events.find(({ event }) => event === 'ready'))
    return stream
  }

  const rows = (events: readonly Event[]) => events.filter(({ event }) => event === 'change').map(({ data }) => data)

  it('S2.2, S4.8: tells a change with its old and new row, and after a lost link exactly what was missed', async () => {
    const headers = { apikey: status.keys.service }
    const first = await ready('table=leads', headers)
    await sql.query(`insert into leads values (1, 'new', 'ann'); update leads set status = 'contacted' where id = 1`)
    await until(() => rows(first.events).length === 2)
    expect(rows(first.events)[1]).toMatchObject({
      event: 'UPDATE',
      schema: 'public',
      table: 'leads',
      record: { id: 1, status: 'contacted', owner: 'ann' },
      old_record: { id: 1, status: 'new', owner: 'ann' },
      commit_timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      errors: null,
    })
    const lastId = first.events.at(-1)?.id ?? ''
    first.drop()
    await first.reading
    await sql.query(`insert into leads select n, 'new', 'ann' from generate_series(2, 4) n`)
    const second = await ready('table=leads', { ...headers, 'last-event-id': lastId })
    await until(() => rows(second.events).length === 3)
    await sql.query(`insert into leads values (5, 'new', 'ann')`)
    await until(() => rows(second.events).length === 4)
    expect(rows(second.events).map(({ record }) => record.id)).toEqual([2, 3, 4, 5])
  })

  it('RT-1: tells each caller what its policies show, filtered', async () => {
    const { anon } = status.keys
    const stream = await ready('table=leads&event=insert&filter=status%3Deq.won&select=status', {
      authorization: `Bearer ${anon}`,
      apikey: anon,
    })
    await sql.query(`insert into leads values (10, 'won', 'ann'), (11, 'won', 'all'), (12, 'lost', 'all'), (13, 'won', 'all')`)
    await until(() => rows(stream.events).length === 2)
    expect(rows(stream.events).map(({ record }) => record)).toEqual([
      { id: 11, status: 'won' },
      { id: 13, status: 'won' },
    ])
  })

  it('RT-2: a server that is killed takes nothing along: the next one tells what was missed', async () => {
    const headers = { apikey: status.keys.service }
    const first = await ready('table=leads', headers)
    await sql.query(`insert into leads values (20, 'new', 'ann')`)
    await until(() => rows(first.events).length === 1)
    const lastId = first.events.at(-1)?.id ?? ''
    server.child.kill('SIGKILL')
    await server.ended
    await first.reading
    await sql.query(`insert into leads values (21, 'new', 'ann')`)
    await serve()
    const second = await ready('table=leads', { ...headers, 'last-event-id': lastId })
    await sql.query(`insert into leads values (22, 'new', 'ann')`)
    await until(() => rows(second.events).length >= 2)
    expect(second.events.map(({ event, data }) => (event === 'change' ? data.record.id : event))).toEqual(['ready', 21, 22])
  })

  it('tells who was away for too long that something is missing', async () => {
    const headers = { apikey: status.keys.service }
    for (const lastId of ['wal-1-2-3:5', 'nonsense']) {
      const stream = await ready('table=leads', { ...headers, 'last-event-id': lastId })
      const gap = await until(() => stream.events.find(({ event }) => event === 'gap'))
      expect(gap.data).toMatchObject({ reason: 'lost', position: expect.stringMatching(/^wal-/) })
    }
  })

  it.each([
    ['table=leads', 'none', 401, 'No API key found in request'],
    ['table=leads', 'wrong', 401, 'Invalid API key'],
    ['table=nothing', 'service', 400, 'Please check Realtime is enabled'],
    ['table=leads&filter=id', 'service', 400, 'Error parsing `filter` params'],
    ['table=leads&event=x', 'service', 400, 'There is no event'],
    ['table=leads&select=nothing', 'service', 400, 'invalid column for select nothing'],
  ])('refuses %s with the key %s', async (query, key, expected, message) => {
    const keys: Readonly<Record<string, string>> = { service: status.keys.service, wrong: 'wrong' }
    const headers = keys[key] === undefined ? {} : { apikey: keys[key] }
    const response = await fetch(`${url}/realtime/v1/changes?${query}`, { headers: headers as Record<string, string> })
    expect(response.status).toBe(expected)
    expect(await response.json()).toMatchObject({ message: expect.stringContaining(message) })
  })

  it('RT-3: ends its streams when it stops, with a reason', async () => {
    const stream = await ready('table=leads', { apikey: status.keys.service })
    server.child.kill('SIGTERM')
    const end = await until(() => stream.events.find(({ event }) => event === 'end'))
    expect(end.data).toEqual({ reason: 'the server stops' })
    await server.ended
    await serve()
  })
})
