import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { findBrowser, startBrowser } from '../../tidemark/src/testing/browser.js'
import { until } from '../../tidemark/src/time/until.js'
import type { LiveSnapshot } from './live/live-query.js'
import type { LiveView } from './live/live-view.js'
import { buildSample } from './testing/built-sample.js'
import { withLiveServer } from './testing/live-server.js'

const chromium = findBrowser()
const server = withLiveServer({
  migrations: fileURLToPath(new URL('../../../samples/live-list/migrations/', import.meta.url)),
  prepare: `
    alter table notes add room text not null default 'hall', add done boolean not null default false, add rank numeric,
      add at timestamptz not null default now(), add constraint not_bad check (text <> 'bad');
    create table secrets (id uuid primary key default gen_random_uuid(), owner uuid not null default auth.uid(), text text);
    alter table secrets enable row level security;
    alter table secrets replica identity full;
    grant select, insert, update, delete on notes to anon, authenticated;
    grant select, insert, update, delete on secrets to authenticated;
    create policy all_rows on notes using (true) with check (true);
    create policy own on secrets to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
    alter publication supabase_realtime add table secrets`,
})

/** Everything that a view showed, and the last of it. */
const look = <Row extends object>(view: LiveView<Row>) => {
  const seen: LiveSnapshot<Row>[] = []
  const stop = view.subscribe((snapshot) => void seen.push(snapshot))
  return {
    seen,
    stop,
    now: () => view.snapshot(),
    live: () => until(() => view.snapshot().state === 'live' && !view.snapshot().isLoading),
    texts: () => view.snapshot().rows.map((row) => (row as { text?: string }).text),
  }
}
const empty = () => server.sql.query('delete from notes')
const insert = (...texts: readonly string[]) =>
  server.sql.query('insert into notes (text) select t from unnest($1::text[]) with ordinality as u (t, n) order by n', [texts])

describe('a live query on a real server', () => {
  test('R51: shows what is there, and what plain SQL makes of it', async () => {
    await empty()
    await insert('a', 'b', 'c')
    const client = server.client()
    const list = look(client.live('notes', { where: { done: false }, order: { rank: 'asc' } }))
    await list.live()
    expect(list.texts()).toEqual(['a', 'b', 'c'])
    await server.sql.query(`begin; update notes set rank = 9 where text = 'a'; update notes set rank = 1.5 where text = 'c';
      insert into notes (text, rank) values ('d', 10); update notes set done = true where text = 'b'; commit`)
    await until(() => list.texts().includes('d'))
    expect(list.texts()).toEqual(['c', 'a', 'd'])
    await server.sql.query(`delete from notes where text = 'a'`)
    await until(() => list.texts().length === 2)
    expect(list.texts()).toEqual(['c', 'd'])
    const asked = await client.supabase.from('notes').select('*').eq('done', false).order('rank').order('id')
    // What is told is what a reading gives, to the last digit.
    expect(list.now().rows).toEqual(asked.data)
    // A transaction is shown as a whole.
    expect(list.seen.map(({ rows }) => rows.length).filter((length) => length !== 3 && length !== 2 && length !== 0)).toEqual([])
  })

  test('RT-2: after a cut line it goes on behind its last position, without reading, and says how it is', async () => {
    await empty()
    const client = server.client({ graceMs: 60_000 })
    let reads = 0
    const from = client.supabase.from.bind(client.supabase)
    client.supabase.from = ((table: never) => {
      reads += 1
      return from(table)
    }) as typeof from
    const list = look(client.live('notes'))
    await list.live()
    for (let round = 0; round < 5; round += 1) {
      client.line(false)
      await until(() => list.now().state === 'connecting')
      await server.sql.query(`begin; insert into notes (text) values ('${round}-x'), ('${round}-y');
        delete from notes where text = '${round}-x'; commit`)
      client.line(true)
      await list.live()
      await until(() => list.texts().length === round + 1)
      expect(list.texts()).toEqual(Array.from({ length: round + 1 }, (_, index) => `${index}-y`))
    }
    expect(reads).toBe(1)
    // Of a transaction there is all or nothing, also of one that was missed.
    const lengths = list.seen.map(({ rows }) => rows.length)
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b))
  })

  test('R61: without realtime it polls, and says so; then it is offline; and all comes back by itself', async () => {
    await empty()
    const client = server.client({ graceMs: 100, pollMs: 200 })
    const list = look(client.live('notes'))
    await list.live()
    client.line(false)
    await until(() => list.now().state === 'polling')
    await insert('polled')
    await until(() => list.texts().includes('polled'))
    expect(list.now().state).toBe('polling')
    expect(client.connection).toBe('polling')
    await server.restart(async () => {
      await until(() => list.now().state === 'offline')
      expect(list.texts()).toEqual(['polled'])
      client.line(true)
    })
    await insert('after')
    await until(() => list.texts().includes('after') && list.now().state === 'live', { timeoutMs: 30_000 })
    expect([list.texts(), list.now().error, client.connection]).toEqual([['polled', 'after'], undefined, 'live'])
  })

  test('views of one spec share one channel, and leave it when nobody looks', async () => {
    const client = server.client({ lingerMs: 50 })
    const [one, two, other] = [{}, {}, { limit: 5 }].map((spec) => look(client.live('notes', spec)))
    await Promise.all([one!.live(), two!.live(), other!.live()])
    expect(client.supabase.getChannels()).toHaveLength(2)
    one!.stop()
    other!.stop()
    await until(() => client.supabase.getChannels().length === 1)
    two!.stop()
    await until(() => client.supabase.getChannels().length === 0)
  })

  test('longer lists come page by page behind the last row, whatever is null, and windows grow', async () => {
    await empty()
    await server.sql.query(`insert into notes (text, rank, room) select 'n' || i, nullif(i % 4, 0), (array['b"', 'a,(b)', 'c'])[1 + i % 3]
      from generate_series(1, 17) i`)
    const client = server.client({ maxRows: 3 })
    for (const order of [{ rank: 'asc', room: 'desc' }, { rank: 'desc' }, { room: 'asc', rank: 'desc' }] as const) {
      const all = await client.live('notes', { order }).ready()
      const some = look(client.live('notes', { order, limit: 4 }))
      await some.live()
      await client.live('notes', { order, limit: 4 }).loadMore(8)
      let asked = client.supabase.from('notes').select('*')
      for (const [column, direction] of Object.entries({ ...order, id: 'asc' }))
        asked = asked.order(column, { ascending: direction === 'asc' })
      const { data } = await asked
      expect(all.rows).toEqual(data)
      await until(() => some.now().rows.length === 12)
      expect([some.now().rows, some.now().hasMore]).toEqual([data?.slice(0, 12), true])
      some.stop()
    }
  })

  test('only rows of the fixed columns are told, and those that go all the same', async () => {
    await empty()
    const client = server.client()
    const list = look(client.live('notes', { where: { room: 'a, "b"' }, fixed: ['room'] }))
    await list.live()
    await server.sql.query(`insert into notes (room, text) values ('a, "b"', 'mine'), ('hall', 'theirs')`)
    await until(() => list.texts().length === 1)
    await server.sql.query(`update notes set text = text || '!'`)
    await until(() => list.texts()[0] === 'mine!')
    await empty()
    await until(() => list.texts().length === 0)
  })

  test('a table that nobody tells of is polled, with the reason; one that may not be read is refused', async () => {
    await server.sql.query(`create table quiet (id int primary key); create table closed (id int primary key);
      alter table quiet enable row level security; create policy quiet on quiet using (true); grant select on quiet to anon`)
    const client = server.client({ graceMs: 100, pollMs: 300 })
    const quiet = look(client.live('quiet'))
    await until(() => quiet.now().state === 'polling' && quiet.now().error?.message.startsWith('Unable to subscribe'))
    await server.sql.query('insert into quiet values (1)')
    await until(() => quiet.now().rows.length === 1)
    const closed = client.live('closed')
    await expect(closed.ready()).rejects.toThrow(/closed/)
  })

  test('whoever signs in sees own rows and no longer those of before', async () => {
    const client = server.client()
    await client.supabase.auth.signInAnonymously()
    const list = look(client.live('secrets'))
    await list.live()
    await client.insert('secrets', { text: 'first user’s' })
    await until(() => list.texts().length === 1)
    await client.supabase.auth.signOut()
    await client.supabase.auth.signInAnonymously()
    await list.live()
    expect(list.texts()).toEqual([])
    await client.insert('secrets', { text: 'second user’s' })
    await until(() => list.texts().length === 1 && list.now().state === 'live')
    await until(() => !list.now().isPending(list.now().rows[0]!))
    expect(list.texts()).toEqual(['second user’s'])
  })
})

describe('a token that ends while somebody looks', () => {
  const user = { sub: 'a0000000-0000-4000-8000-000000000001', role: 'authenticated' }

  test('is followed by the next one, and the list goes on; where there is no next one, it says so', async () => {
    let tokenNow = () => server.token(user, 2)
    const client = server.client({ graceMs: 500, pollMs: 300, supabase: { accessToken: async () => tokenNow() } })
    const list = look(client.live('secrets'))
    const typing = client.channel('typing')
    const stop = typing.onChange(() => undefined)
    await list.live()
    await until(() => typing.state === 'joined')
    await until(() => list.now().state !== 'live' && typing.state === 'offline', { timeoutMs: 20_000 })
    tokenNow = () => server.token(user, 60)
    await server.sql.query(`insert into secrets (owner, text) values ($1, 'meanwhile')`, [user.sub])
    await until(() => list.now().state === 'live' && typing.state === 'joined', { timeoutMs: 20_000 })
    await until(() => list.texts().length === 1)

    const last = server.token(user, 0)
    tokenNow = () => last
    await client.supabase.realtime.setAuth()
    await until(() => list.now().state === 'polling' && /expired/.test(list.now().error?.message ?? ''), { timeoutMs: 20_000 })
    expect(list.texts()).toEqual(['meanwhile'])
    stop()
    list.stop()
  })
})

describe('a mutation', () => {
  test('R61: shows at once under a client’s id, becomes the row, and is the same element all along', async () => {
    await empty()
    const client = server.client()
    const list = look(client.live('notes', { order: { at: 'desc' } }))
    await list.live()
    const inserting = client.insert('notes', { text: 'new' })
    const [shown] = list.now().rows
    const id = list.now().idOf(shown!)
    expect([list.texts(), list.now().isPending(shown!)]).toEqual([['new'], true])
    const row = await inserting
    expect(row).toMatchObject({ text: 'new', done: false })
    expect(list.now().rows).toEqual([row])
    await server.sql.query(`update notes set rank = 3`)
    await until(() => list.now().rows[0]?.['rank'] === 3)
    expect([list.now().rows.length, list.now().idOf(list.now().rows[0]!)]).toEqual([1, id])

    const updating = client.update('notes', { id: row['id'] }, { text: 'newer' })
    expect(list.texts()).toEqual(['newer'])
    await updating
    const deleting = client.delete('notes', { id: row['id'] })
    expect(list.texts()).toEqual([])
    await deleting
    await insert('last')
    await until(() => list.texts().includes('last'))
    expect(list.texts()).toEqual(['last'])
  })

  test('that the server refuses is taken back, and tells why', async () => {
    await empty()
    await insert('kept')
    const client = server.client()
    const list = look(client.live('notes'))
    await list.live()
    const bad = client.insert('notes', { text: 'bad' })
    expect(list.texts()).toEqual(['kept', 'bad'])
    await expect(bad).rejects.toMatchObject({ name: 'MutationError', code: '23514', status: 400 })
    expect(list.texts()).toEqual(['kept'])
    await expect(client.update('notes', { id: -1 }, { text: 'nobody' })).rejects.toMatchObject({ code: 'PGRST116' })
    // Without a value in the key all rows would be meant.
    for (const key of [{ id: undefined }, {}] as never[]) {
      await expect(client.update('notes', key, { text: 'all' })).rejects.toMatchObject({ code: 'KEY_MISSING' })
      await expect(client.delete('notes', key)).rejects.toMatchObject({ code: 'KEY_MISSING' })
    }
  })

  test('CACHE-5: says where it is, and every later request to the server does', async () => {
    const sent: (string | null)[] = []
    const spying: typeof fetch = (input, init) => {
      sent.push(new Headers(init?.headers).get('tidemark-position'))
      return fetch(input, init)
    }
    const client = server.client({ supabase: { global: { fetch: spying } } })
    await client.supabase.from('notes').select('id')
    await client.insert('notes', { text: 'where' })
    await client.fetch('/health')
    const named = expect.stringMatching(/^wal-[^:]+:[0-9a-f]+(?::[0-9a-f]+)?$/)
    expect(sent).toEqual([null, named, named])
  })
})

describe('a channel', () => {
  test('R107: says who is there and who types, shared by all who listen', async () => {
    const [ann, bob] = [server.client(), server.client()]
    const room = (client: typeof ann, presenceKey: string) => client.channel('room', { presenceKey })
    const heard: unknown[] = []
    room(ann, 'ann').onMessage((message) => void heard.push(message))
    const stop = room(bob, 'bob').onChange(() => undefined)
    await Promise.all([room(ann, 'ann').track({ name: 'Ann' }), room(bob, 'bob').track({ name: 'Bob' })])
    await until(() => Object.keys(room(ann, '').present).length === 2)
    expect(await room(bob, '').send('typing', { name: 'Bob' })).toBe('ok')
    await until(() => heard.length === 1)
    expect(heard).toEqual([{ event: 'typing', payload: { name: 'Bob' } }])
    bob.line(false)
    await until(() => Object.keys(room(ann, '').present).join() === 'ann')
    bob.line(true)
    await until(() => Object.keys(room(ann, '').present).length === 2)
    stop()
    await until(() => Object.keys(room(ann, '').present).join() === 'ann')
  })
})

describe.skipIf(chromium === undefined)('samples/live-list in a browser (Debian: apt-get install chromium)', () => {
  test('R110: two people see one list, as it is written, refused, cut off and caught up', async () => {
    await empty()
    const [sample, browser] = await Promise.all([
      buildSample({ url: server.url, anonKey: server.keys.anon }),
      startBrowser(chromium!),
    ])
    try {
      const [ann, bob] = await Promise.all([browser.open(), browser.open()])
      const wrong: string[] = []
      const open = async (context: typeof ann): Promise<Page> => {
        const page = await context.newPage()
        page.on('pageerror', (error) => wrong.push(String(error)))
        await page.goto(sample.url)
        await page.locator('output', { hasText: /^live$/ }).waitFor()
        return page
      }
      const [one, two] = await Promise.all([open(ann), open(bob)])
      const list = (page: Page) => page.locator('li').allTextContents()
      const write = async (page: Page, text: string): Promise<void> => {
        await page.getByLabel('Note').fill(text)
        await page.getByLabel('Note').press('Enter')
      }
      await write(one, 'from Ann')
      await write(two, '<img src=x onerror="document.title = `run`">')
      for (const page of [one, two]) await expect.poll(() => list(page)).toHaveLength(2)
      expect((await list(one)).sort()).toEqual(['<img src=x onerror="document.title = `run`">', 'from Ann'])
      expect(await one.title()).toBe('A live list')

      await write(one, 'bad')
      await one.getByRole('alert').getByText('not_bad').waitFor()
      expect(await list(one)).not.toContain('bad')

      await bob.setOffline(true)
      await two.locator('output', { hasText: /^(offline|connecting|polling)$/ }).waitFor()
      await insert('while Bob was away')
      await one.locator('li', { hasText: 'while Bob was away' }).waitFor()
      await bob.setOffline(false)
      await two.locator('li', { hasText: 'while Bob was away' }).waitFor()
      await two.locator('output', { hasText: /^live$/ }).waitFor()
      expect(await list(two)).toEqual(await list(one))
      expect(
        await one.evaluate(
          async (health) => (await (await fetch(health, { headers: { apikey: 'x' } })).json()).status,
          `${server.url}/health`,
        ),
      ).toBe('ok')

      // Killed, not stopped: nobody is told, and what was shown stays.
      await server.restart(async () => {
        for (const page of [one, two]) await page.locator('output', { hasText: /^(offline|connecting|polling)$/ }).waitFor()
        await write(one, 'to nobody')
        // Shown at once, and taken back when it is known that nobody takes it.
        await until(async () => {
          const texts = await list(one)
          return texts.length === 3 && !texts.includes('to nobody')
        })
      }, 'SIGKILL')
      await expect.poll(() => write(one, 'after').then(() => list(one)), { timeout: 60_000, interval: 1_000 }).toContain('after')
      for (const page of [one, two]) await page.locator('li', { hasText: 'after' }).first().waitFor()
      for (const page of [one, two]) await page.locator('output', { hasText: /^live$/ }).waitFor()
      await until(async () => (await list(two)).join() === (await list(one)).join(), { what: 'Two equal lists' })
      expect(wrong).toEqual([])
    } finally {
      await browser.stop()
      await sample.stop()
    }
  })
})
