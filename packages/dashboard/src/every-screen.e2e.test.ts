// What holds on every screen, whatever is typed and however wide the window is: a real server, a real browser.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import pg from 'pg'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRedis } from '../../tidemark/src/redis/create-redis.ts'
import { findRedisServer } from '../../tidemark/src/redis/embedded/find-server.ts'
import { openResilience, type Resilience } from '../../tidemark/src/server/resilience/open-resilience.ts'
import { findBrowser, startBrowser, type TestBrowser } from '../../tidemark/src/testing/browser.ts'
import { runCli } from '../../tidemark/src/testing/project/cli-call.ts'
import { useProject } from '../../tidemark/src/testing/project/use-project.ts'
import { startTestRedis, type TestRedis } from '../../tidemark/src/testing/redis/redis-server.ts'
import { until } from '../../tidemark/src/time/until.ts'
import { screens } from './screens/screens.ts'
import { fieldsInSource } from './testing/fields-in-source.ts'
import { hostileName, hostileTexts, submitEverywhere, typeEverywhere, watchElements, whatRan } from './testing/hostile-texts.ts'
import { misfits, windows } from './testing/room.ts'

const chromium = findBrowser()
const hasRedis = (await findRedisServer()) !== undefined
const apps = fileURLToPath(new URL('../../../apps/', import.meta.url))

interface Status {
  readonly admin: { readonly token: string }
  readonly database: { readonly url: string }
}

/** Each screen, and each place in it, as they stand in the table of screens. */
const everyPlace = (file: string): readonly string[] => [
  ...screens.flatMap(({ path, places = [] }) => [path, ...places.map(({ search }) => `${path}?${new URLSearchParams(search)}`)]),
  `/move?file=${encodeURIComponent(file)}`,
  '/data?table=public.alerts&role=service_role',
]

/** What brings fields up; done anew for each text. */
type Place = (page: Page) => Promise<unknown>

const press =
  (name: string | RegExp): Place =>
  (page) =>
    page.getByRole('button', { name }).first().click()
const all =
  (...places: readonly Place[]): Place =>
  async (page) => {
    for (const place of places) await place(page)
  }
/** A button that asks something first. */
const opens = (button: string, dialog: string | RegExp): Place =>
  all(press(button), (page) => page.getByRole('dialog', { name: dialog }).waitFor())
const tab =
  (name: string): Place =>
  (page) =>
    page.getByRole('tab', { name }).click()
const choose =
  (label: string, value: string): Place =>
  (page) =>
    page.getByLabel(label, { exact: true }).selectOption(value)
const nothing: Place = async () => {}

describe.skipIf(chromium === undefined || !hasRedis)(
  'every screen in a browser (Debian: apt-get install chromium redis-server)',
  () => {
    const project = useProject()
    let browser: TestBrowser
    let sql: pg.Client
    let url: string
    let token: string
    let file: string
    let redis: TestRedis
    let connection: Awaited<ReturnType<typeof createRedis>>
    let beside: Resilience

    const seed = async (): Promise<void> => {
      await sql.query(`
      create table public."${hostileName}" ("</script>{{7}}" text, "other" text);
      insert into public."${hostileName}" values ('${hostileName}', null);
      select public.publish_alert('disk', 'host', 'eu-1', '${hostileName}', 'warning', '{"zone": "b"}'::jsonb);
      insert into public.webhook_events (id, provider, dedupe_key, event_type, lane, payload, raw, verified, trust, status, dead_reason, error)
        select gen_random_uuid(), 'rollout', n::text, 'contact.created', n::text, '{}', '{}', true, 'statement', 'dead', 'attempts', 'no such contact'
          from generate_series(1, 101) n;
      insert into public.sessions (session_id, fsm_state) values ('a yarn that began', 'strengths');
      insert into public.chat_history (session_id, role, message) values ('a yarn that began', 'user', '${hostileName}');
    `)
    }

    /** What the login may do, on the database that the options name. */
    const ask = async (text: string, ...options: readonly string[]): Promise<void> => {
      const { url: connectionString } = await project.run<{ readonly url: string }>('db', 'url', '--show-keys', ...options)
      const client = new pg.Client({ connectionString })
      await client.connect()
      await client.query(text)
      await client.end()
    }

    const submitDrafts = `
    with lead as (insert into public.leads (first_name, last_name, email) values ('Lea', 'Dee', 'lea@example.com') returning id)
    insert into public.approvals (lead_id, channel, draft_to, draft_subject, draft_text, created_by)
      select id, 'email', 'lea@example.com', 'Hello', 'the draft itself', 'x' from lead;
    update public.approvals set status = 'pending'`

    const cli = async (...args: readonly string[]): Promise<void> => {
      const { exitCode, stderr } = await runCli(args, { cwd: project.dir })
      if (exitCode !== 0) throw new Error(`tidemark ${args.join(' ')}: ${stderr}`)
    }

    beforeAll(async () => {
      file = join(project.dir, 'app.db')
      const db = new Database(file)
      db.exec("create table notes (id integer primary key, body text); insert into notes (body) values ('one')")
      db.close()
      redis = await startTestRedis()
      url = await project.serve(['start'], { REDIS_URL: redis.url })
      // A program beside the server, which calls somebody.
      connection = await createRedis({ url: redis.url })
      beside = await openResilience({ redis: connection })
      beside.breaker('crm')
      const status = await project.run<Status>('status', '--show-keys')
      token = status.admin.token
      sql = new pg.Client({ connectionString: status.database.url })
      await sql.connect()
      const folders = ['reanna-router', 'supportive-yarn', 'chat', 'agents'].map((app) => join(apps, app, 'migrations'))
      await cli('schema', 'up', '--migrations', folders.join(','))
      await cli('schema', 'up', '--database', 're_engine', '--migrations', join(apps, 're-engine/migrations'))
      await Promise.all([
        seed(),
        ask(submitDrafts, '--database', 're_engine'),
        ask(`select pg_create_logical_replication_slot('tidemark_left_behind', 'pgoutput')`, '--role', 'feed'),
        cli('move', file, '--until-ready'),
      ])
      browser = await startBrowser(chromium!)
    })
    afterAll(async () => {
      await browser?.stop()
      await sql?.end()
      await beside?.stop()
      await connection?.stop()
      await project.end()
      await redis?.stop()
    })

    /** Nothing of the policy stands in the way of what would run. */
    const open = async (): Promise<{ readonly page: Page; readonly wrong: string[]; settled(): Promise<void> }> => {
      const context = await browser.open({ bypassCSP: true })
      const page = await context.newPage()
      await page.addInitScript(watchElements)
      const wrong: string[] = []
      const waiting = new Set<unknown>()
      page.on('pageerror', (error) => wrong.push(`${page.url()}: ${error}`))
      page.on('dialog', (dialog) => wrong.push(`a dialog said ${dialog.message()}`))
      page.on('console', (message) => {
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(message.text())
      })
      page.on(
        'response',
        (response) => response.status() >= 500 && wrong.push(`${response.url()} was answered with ${response.status()}`),
      )
      page.on('request', (request) => request.resourceType() === 'fetch' && waiting.add(request))
      page.on('requestfinished', (request) => waiting.delete(request))
      page.on('requestfailed', (request) => waiting.delete(request))
      const settled = () => until(() => waiting.size === 0, { what: 'the page', timeoutMs: 30_000 }).then(() => undefined)
      return { page, wrong, settled }
    }

    const signIn = async (page: Page): Promise<void> => {
      await page.getByLabel('Admin token').last().fill(token)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.locator('#screen').waitFor()
    }

    test('a hostile text in every field of every screen is text, and nothing else', async () => {
      const { page, wrong, settled } = await open()
      const reached = new Set<string>()
      const expectText = async (where: string): Promise<void> => {
        const [ran, made] = await page.evaluate(whatRan)
        if (ran || made) throw new Error(`${where}: what was typed became a part of the page`)
      }
      const type = async (folder: string, place: Place): Promise<void> => {
        for (const text of hostileTexts) {
          await place(page)
          await page.locator('.skeleton').first().waitFor({ state: 'detached' })
          const codes = Array.from({ length: text.length }, (_none, at) => text.charCodeAt(at))
          const fields = await page.evaluate(typeEverywhere, codes)
          for (const { label, kept } of fields) {
            reached.add(`${folder} ${label}`)
            // A half of a pair is none in an address.
            if (kept !== undefined && kept !== text && kept !== text.replace(/\p{Surrogate}/gu, '\uFFFD'))
              wrong.push(`${folder} ${label} has ${kept.slice(0, 200)}`)
          }
          await page.evaluate(submitEverywhere)
          await settled()
          await expectText(folder)
          await until(async () => (await page.getByRole('dialog').count()) === 0 || page.keyboard.press('Escape'), {
            what: `no dialog on ${folder}`,
            intervalMs: 100,
          })
        }
      }
      const visits: readonly (readonly [path: string, ...places: readonly Place[]])[] = [
        ['/move', all(async (shown) => (await shown.getByText('All files').count()) > 0 && press('All files')(shown))],
        [`/move?file=${encodeURIComponent(file)}`, opens('Share of reads…', 'Share of reads'), opens('Abort…', 'Abort the move')],
        ['/systems', nothing, all(tab('Chats'), (shown) => shown.getByLabel('Say something').waitFor())],
        [
          '/systems?system=leads',
          all((shown) => shown.getByRole('gridcell', { name: 'pending' }).first().click(), opens('Reject…', 'Reject')),
        ],
        ['/systems?system=yarn', (shown) => shown.getByRole('gridcell', { name: 'strengths' }).first().click()],
        ['/feed', nothing, opens('Drop the slot tidemark_left_behind', 'Drop the slot')],
        ['/cache', nothing, all(choose('What', 'all'), opens('Preview…', 'Evict'))],
        ['/data?role=authenticated', nothing],
        [`/data?role=service_role&table=${encodeURIComponent(`public.${hostileName}`)}`, nothing],
        ['/queries?tab=explain', nothing],
        ['/realtime?role=authenticated', nothing],
        ['/webhooks', nothing],
        [
          '/webhooks?status=dead',
          opens('Replay what is shown…', 'Replay'),
          all(
            (shown) => shown.getByText('no such contact').first().click(),
            opens('Edit and replay…', 'Replay with an edited body'),
          ),
        ],
        ['/alerts', nothing, opens('Silence…', 'Silence')],
        ['/resilience', all((shown) => shown.getByText('crm').first().click(), opens('Hold open…', /Hold open/))],
        ['/settings', nothing, tab('Audit log')],
      ]
      await page.goto(url)
      await page.getByRole('tab', { name: 'User' }).waitFor()
      await type('shell', tab('Admin token'))
      await type('shell', tab('User'))
      await page.goto(url)
      await signIn(page)
      await type('shell', opens('Search', 'Commands'))
      const visit = async ([path, ...places]: (typeof visits)[number]): Promise<void> => {
        await page.goto(`${url}${path}`)
        await page.locator('#screen > *').first().waitFor()
        for (const place of places) await type(path.split(/[/?]/)[1]!, place)
      }
      for (const one of visits) await visit(one)
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', prefer: 'respond-async' }
      const body = JSON.stringify({ file, maxPause: '30s' })
      expect((await fetch(`${url}/admin/v1/move/cutover`, { method: 'POST', headers, body })).ok).toBe(true)
      await visit([`/move?file=${encodeURIComponent(file)}`, opens('Roll back…', 'Roll back')])
      expect([...reached].sort()).toEqual([...new Set(fieldsInSource())].sort())
      expect(wrong).toEqual([])
      await page.context().close()
    })

    test('each screen fits a telephone and a large window, and uses the room of the large one', async () => {
      const { page, wrong, settled } = await open()
      await page.goto(url)
      for (const { width, height, args } of windows) {
        await page.setViewportSize({ width, height })
        wrong.push(...(await page.evaluate(misfits, args)).map((one) => `${width} sign-in: ${one}`))
      }
      await signIn(page)
      for (const path of everyPlace(file)) {
        await page.goto(`${url}${path}`)
        await page.locator('#screen > *').first().waitFor()
        await page.locator('.skeleton').first().waitFor({ state: 'detached' })
        for (const { width, height, args } of windows) {
          await page.setViewportSize({ width, height })
          await settled()
          // A chart is drawn anew a moment after its window has changed.
          let found: readonly string[] = []
          const fits = async (): Promise<boolean> => {
            found = await page.evaluate(misfits, args)
            return found.length === 0
          }
          await until(fits, { timeoutMs: 3_000 }).catch(() => undefined)
          wrong.push(...found.map((one) => `${width} ${path}: ${one}`))
        }
      }
      expect(wrong).toEqual([])
      await page.context().close()
    })
  },
)
