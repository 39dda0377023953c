import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { createRequire } from 'node:module'
import type { createClient } from '@supabase/supabase-js'
import pg from 'pg'
import type { Page } from 'playwright-core'
import Pusher from 'pusher'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findBrowser, startBrowser, type TestBrowser } from '../../testing/browser.js'
import { type CliProcess, startCli, untilServing } from '../../testing/project/cli-process.js'
import { createPreparedProject } from '../../testing/project/prepared-project.js'
import type { ProjectStatus } from '../operations/status.js'

/** What the pages have. */
interface Globals {
  readonly document: { querySelector(selector: string): { readonly textContent: string } }
  readonly MutationObserver: new (heard: () => void) => { observe(node: unknown, options: object): void }
  shownAtMs: Promise<number>
  heard: unknown[]
  supabase: { readonly createClient: typeof createClient }
  Pusher: typeof import('pusher-js').default
}

const chromium = findBrowser()
const require = createRequire(import.meta.url)

let folder: Awaited<ReturnType<typeof createPreparedProject>>
let server: CliProcess
let url: string
let status: ProjectStatus
let sql: pg.Client

beforeAll(async () => {
  folder = await createPreparedProject()
  server = startCli(['dev', '--json'], { cwd: folder.dir, env: { PORT: '0', TIDEMARK_REDIS_EMBEDDED: 'false' } })
  url = await untilServing(server)
  status = JSON.parse(server.stdout)
  sql = new pg.Client({ connectionString: status.database.url })
  await sql.connect()
})

afterAll(async () => {
  await sql?.end()
  server?.child.kill('SIGTERM')
  await server?.ended
  await folder?.remove()
})

const get = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
  const asked = request(new URL(path, url), { headers }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let body = ''
  for await (const piece of answer.setEncoding('utf8')) body += piece
  return { status: answer.statusCode, headers: answer.headers, body }
}

describe('the page of live changes', () => {
  test('SEC-1: it carries no key, and lets nothing run but itself', async () => {
    const { status: code, headers, body } = await get('/live')
    expect(code).toBe(200)
    const { host } = new URL(url)
    expect(headers['content-security-policy']).toMatch(
      new RegExp(`^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self' ws://${host}; `),
    )
    expect(body).not.toMatch(/ey[\w-]+\.|sb_|https?:\/\/(?!www\.w3\.org)/)
    const told = await get('/live.json')
    expect(told.body).toContain(status.keys.anon)
    expect(told.body).not.toContain(status.keys.service)
    expect(told.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('only browsers of this machine that asked for this machine get it', async () => {
    const { port } = new URL(url)
    const foreign = [
      { host: `evil.example:${port}` },
      { host: `127.0.0.1.evil.example:${port}` },
      { 'x-forwarded-for': '10.0.0.1' },
    ]
    for (const headers of foreign)
      for (const path of ['/live', '/live.json'])
        expect([path, headers, (await get(path, headers)).status]).toEqual([path, headers, 404])
    expect((await get('/live', { host: `localhost:${port}` })).status).toBe(200)
  })
})

describe.skipIf(chromium === undefined)('in a browser (Debian: apt-get install chromium)', () => {
  let browser: TestBrowser

  beforeAll(async () => {
    browser = await startBrowser(chromium!)
  })
  afterAll(() => browser.stop())

  /** Commits, and gives how many milliseconds later the page showed it. */
  const shownAfter = async (page: Page, text: string, statement: string, values: unknown[] = []): Promise<number> => {
    await page.evaluate((wanted) => {
      const globals = globalThis as unknown as Globals
      const list = globals.document.querySelector('#changes')
      const isThere = () => list.textContent.includes(wanted)
      globals.shownAtMs = new Promise((resolve) => {
        const watching = new globals.MutationObserver(() => isThere() && resolve(Date.now()))
        watching.observe(list, { childList: true })
      })
    }, text)
    await sql.query(statement, values)
    const committedAtMs = Date.now()
    return (await page.evaluate(() => (globalThis as unknown as Globals).shownAtMs)) - committedAtMs
  }

  test('R63: a change is seen within a second of plain SQL writing it, as far as policies let it be seen', async () => {
    const context = await browser.open({ colorScheme: 'dark' })
    const page = await context.newPage()
    const [wrong, asked, sockets]: string[][] = [[], [], []]
    page.on('console', (message) => message.type() === 'error' && wrong!.push(message.text()))
    page.on('pageerror', (error) => wrong!.push(String(error)))
    page.on('request', (one) => asked!.push(one.url()))
    page.on('websocket', (one) => sockets!.push(one.url()))
    await page.goto(`${url}/live`)
    await page.locator('#state', { hasText: 'Waiting for a table' }).waitFor()
    await sql.query(`
      create table open_notes (id bigint generated always as identity primary key, body text);
      create table closed_notes (id bigint generated always as identity primary key, body text);
      grant select on open_notes, closed_notes to anon;
      alter table closed_notes enable row level security;
      alter publication supabase_realtime add table open_notes, closed_notes`)
    await page.locator('#state', { hasText: /^Live$/ }).waitFor()
    await page.locator('#tables tr', { hasText: 'closed_notes' }).waitFor()
    expect(await page.locator('#tables').innerText()).toMatch(
      /closed_notes\s+0\s+sees the rows that policies.*\s.*open_notes\s+0\s+sees every row/,
    )

    await sql.query(`insert into closed_notes (body) values ('for nobody')`)
    const text = `<img src=x onerror="document.title='broken'">`
    const tookMs = [
      await shownAfter(page, 'INSERT', 'insert into open_notes (body) values ($1)', [text]),
      await shownAfter(page, '"changed"', `update open_notes set body = 'changed'`),
      await shownAfter(page, 'DELETE', 'delete from open_notes'),
    ]
    for (const ms of tookMs) expect(ms).toBeLessThan(1000)
    expect(await page.locator('#changes').innerText()).not.toContain('for nobody')
    expect(await page.locator('#changes').innerText()).toContain(JSON.stringify(text))
    expect(await page.title()).toBe('Tidemark: live changes')

    await page.locator('summary').click()
    await page.getByLabel('Token of a user').fill(status.keys.service)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.locator('#state', { hasText: /^Live$/ }).waitFor()
    const own = await shownAfter(page, 'for the owner', `insert into closed_notes (body) values ('for the owner')`)
    expect(own).toBeLessThan(1000)
    expect(sockets!.length).toBeGreaterThan(1)
    expect(sockets!.filter((one) => one.includes(status.keys.service))).toEqual([])
    expect(asked!.filter((one) => !one.startsWith(`${url}/`))).toEqual([])
    expect(wrong).toEqual([])
    await context.close()
  })

  test('supabase-js and pusher-js hear changes, broadcasts and events there', async () => {
    await sql.query(`
      create table rooms (id bigint primary key, name text);
      grant select on rooms to anon;
      alter publication supabase_realtime add table rooms`)
    const context = await browser.open({ bypassCSP: true })
    const page = await context.newPage()
    await page.goto(`${url}/livez`)
    await page.addScriptTag({ path: require.resolve('@supabase/supabase-js/dist/umd/supabase.js') })
    await page.addScriptTag({ path: require.resolve('pusher-js/dist/web/pusher.min.js') })
    await page.evaluate(
      async ({ origin, anon, pusherKey }) => {
        const globals = globalThis as unknown as Globals
        globals.heard = []
        const client = globals.supabase.createClient(origin, anon)
        const channel = client.channel('room', { config: { broadcast: { self: true } } })
        channel.on('postgres_changes', { event: '*', schema: 'public', table: 'rooms' }, (change) =>
          globals.heard.push(['change', change.eventType, change.new]),
        )
        channel.on('broadcast', { event: 'hello' }, ({ payload }) => globals.heard.push(['broadcast', payload]))
        channel.on('system', {}, ({ message, status: word }) => globals.heard.push([word, message]))
        await new Promise<void>((resolve, reject) =>
          channel.subscribe((word, error) => (word === 'SUBSCRIBED' ? resolve() : reject(error ?? word))),
        )
        await channel.send({ type: 'broadcast', event: 'hello', payload: { to: 'all' } })
        const { hostname, port } = new URL(origin)
        const pusher = new globals.Pusher(pusherKey, {
          cluster: 'none',
          wsHost: hostname,
          wsPort: Number(port),
          forceTLS: false,
          enabledTransports: ['ws'],
          enableStats: false,
        })
        const subscription = pusher.subscribe('news')
        subscription.bind('headline', (data: unknown) => globals.heard.push(['pusher', data]))
        await new Promise((resolve, reject) => {
          subscription.bind('pusher:subscription_succeeded', resolve)
          subscription.bind('pusher:subscription_error', reject)
        })
      },
      { origin: url, anon: status.keys.anon, pusherKey: status.pusher!.key },
    )
    await sql.query(`insert into rooms values (1, 'first')`)
    const { hostname, port } = new URL(url)
    const { appId, key, secret } = status.pusher!
    await new Pusher({ appId, key, secret, host: hostname, port, useTLS: false }).trigger('news', 'headline', { text: 'tide' })
    const heard = () => page.evaluate(() => (globalThis as unknown as Globals).heard)
    await expect.poll(heard, { timeout: 10_000 }).toEqual(
      expect.arrayContaining([
        ['change', 'INSERT', { id: 1, name: 'first' }],
        ['broadcast', { to: 'all' }],
        ['pusher', { text: 'tide' }],
      ]),
    )
    await context.close()
  })
})
