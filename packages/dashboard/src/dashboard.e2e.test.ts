// The dashboard as people use it: a real server, a real browser, an application that goes on writing.
import { createHmac } from 'node:crypto'
import { copyFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import pg from 'pg'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveConfig } from '../../tidemark/src/config/config.ts'
import { createSessions } from '../../tidemark/src/server/admin/session.ts'
import { openState } from '../../tidemark/src/state/state.ts'
import { findBrowser, startBrowser, type TestBrowser } from '../../tidemark/src/testing/browser.ts'
import { useProject } from '../../tidemark/src/testing/project/use-project.ts'

const chromium = findBrowser()
const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const northwind = fileURLToPath(new URL('../../../samples/northwind.db', import.meta.url))
/** In every field that a person or a program can fill: none of it may ever run. */
const hostile = `"><img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`

/** How quick it is can be said where nothing else runs, and what takes long is not for every run: with TIDEMARK_TEST_LONG=1. */
const isAlone = process.env['TIDEMARK_TEST_LONG'] !== undefined

const webhookSecret = 'a secret of this test'
/** It takes one contact and no other. */
const configuration = `export default {
  webhooks: {
    keys: { rollout: [{ key: '${webhookSecret}' }] },
    maxRetries: 1,
    on: { 'contact.created': async ({ entity }) => { if (entity.externalId !== '8') throw new Error('no such contact') } },
  },
}`

interface Status {
  readonly url: string
  readonly admin: { readonly token: string }
  readonly database: { readonly url: string }
  readonly keys: { readonly anon: string; readonly service: string }
}

interface Axe {
  readonly axe: {
    run(): Promise<{
      readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[]
    }>
  }
}

describe.skipIf(chromium === undefined)('the dashboard in a browser (Debian: apt-get install chromium)', () => {
  const project = useProject()
  let browser: TestBrowser
  let status: Status
  let url: string
  let sql: pg.Client

  beforeAll(async () => {
    await copyFile(northwind, join(project.dir, 'app.db'))
    await writeFile(join(project.dir, 'tidemark.config.mjs'), configuration)
    url = await project.serve()
    status = await project.run<Status>('status', '--show-keys')
    sql = new pg.Client({ connectionString: status.database.url })
    await sql.connect()
    browser = await startBrowser(chromium!)
  })
  afterAll(async () => {
    await browser?.stop()
    await sql?.end()
  })

  const wrong: string[] = []

  const signedIn = async (context: BrowserContext, path: string): Promise<Page> => {
    const page = await context.newPage()
    page.on('pageerror', (error) => wrong.push(String(error)))
    page.on('console', (message) => message.type() === 'error' && !message.text().includes('401') && wrong.push(message.text()))
    await page.goto(`${url}${path}`)
    await page.getByLabel('Admin token').last().fill(status.admin.token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('#screen').waitFor()
    return page
  }

  /** Of a user, so that nothing makes it longer. */
  const endingSession = async (forMs: number): Promise<{ readonly name: string; readonly value: string }> => {
    const config = resolveConfig({ env: {}, cwd: project.dir })
    const sessions = await createSessions(config, await openState(join(project.dir, '.tidemark')))
    const begun = sessions.begin({ name: 'ann@example.com', role: 'admin', began: 'user' })
    const cookie = await sessions.cookie({ ...begun, endsAtMs: Date.now() + forMs }, false)
    const [name = '', value = ''] = cookie.split(';')[0]!.split('=')
    return { name, value }
  }

  const violations = async (page: Page): Promise<readonly string[]> => {
    await page.addScriptTag({ path: axePath })
    const found = await page.evaluate(async () => (await (globalThis as unknown as Axe).axe.run()).violations)
    return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
  }

  const confirm = async (page: Page, button: string, verb: string): Promise<void> => {
    await page.getByRole('button', { name: button }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Type app.db to confirm').fill('app.db')
    await dialog.getByRole('button', { name: verb, exact: true }).click()
    await dialog.waitFor({ state: 'hidden' })
  }

  test('a whole move with a live writer: plan, copy, follow, verify, cut over, roll back, and nothing is lost', async () => {
    const context = await browser.open({ colorScheme: 'dark' })
    const page = await signedIn(context, '/move')
    await page.getByText('app.db', { exact: true }).click()
    await page.getByRole('button', { name: 'Make the plan' }).click()
    await page.getByRole('button', { name: 'Copy and follow' }).waitFor()
    const db = new Database(join(project.dir, 'app.db'))
    db.pragma('busy_timeout = 5000')
    let accepted = 0
    const insert = db.prepare('insert into Categories (CategoryName, Description) values (?, ?)')
    const writer = setInterval(() => {
      try {
        insert.run(`live ${accepted}`, hostile)
        accepted++
      } catch {
        // Refused during the switch, and after it.
      }
    }, 50)
    try {
      await page.getByRole('button', { name: 'Copy and follow' }).click()
      const advice = page.locator('.next h2')
      await advice.getByText('Ready to cut over').waitFor({ timeout: 60_000 })
      expect(await page.getByRole('list', { name: 'Steps of the move' }).innerText()).toMatch(
        /Verify\s+done[\s\S]*Cut over\s+now/,
      )
      await confirm(page, 'Cut over…', 'Cut over')
      await advice.getByText('Postgres takes the writes').waitFor({ timeout: 60_000 })
      clearInterval(writer)
      await page.getByText(/Writes were refused for/).waitFor()
      const { rows } = await sql.query(`select count(*)::int as n from public."Categories" where "CategoryName" like 'live %'`)
      expect(rows[0].n).toBe(accepted)
      await sql.query(`insert into public."Categories" ("CategoryName", "Description") values ('from postgres', $1)`, [hostile])
      await confirm(page, 'Roll back…', 'Roll back')
      await advice.getByText('SQLite takes the writes again').waitFor({ timeout: 60_000 })
      expect(db.prepare(`select count(*) as n from Categories where CategoryName = 'from postgres'`).get()).toEqual({ n: 1 })
      await page.getByRole('tab', { name: 'History' }).click()
      await page.getByText('Rolled back', { exact: true }).last().waitFor()
      expect(await page.title()).toBe('Move · Tidemark')
    } finally {
      clearInterval(writer)
      db.close()
    }
    const { rows } = await sql.query(`select action, actor from audit_log where table_name = 'tidemark.operations' order by id`)
    expect(rows.map(({ action }) => action)).toEqual(
      expect.arrayContaining([
        'POST /session',
        'POST /move/plan',
        'POST /move/follow',
        'POST /move/cutover',
        'POST /move/rollback',
      ]),
    )
    expect(new Set(rows.map(({ actor }) => actor))).toEqual(new Set(['admin token']))
    await context.close()
  })

  test('R134: a change comes onto the screen by itself, and is text whatever it holds', async () => {
    const context = await browser.open()
    await sql.query('create table hostile (id bigint generated always as identity primary key, body text)')
    const page = await signedIn(context, '/feed?tables=public.hostile')
    await page.getByText(/live, 0 seen/).waitFor()
    // A second page on the same tables needs no second slot.
    const other = await context.newPage()
    await other.goto(page.url())
    await other.getByText(/live, 0 seen/).waitFor()
    const { rows: slots } = await sql.query('select count(*)::int as n from pg_replication_slots where temporary')
    expect(slots[0].n).toBe(1)
    await other.close()
    const row = (text: string) => page.getByRole('gridcell').getByText(text.slice(0, 20))
    const write = (text: string) => sql.query('insert into hostile (body) values ($1)', [text])
    const took: number[] = []
    // It says live when nothing is missed any more: the first one is there, too.
    for (const text of [hostile, 'second', 'third', 'fourth']) {
      await write(text)
      const from = performance.now()
      await row(text).first().waitFor()
      took.push(performance.now() - from)
    }
    if (isAlone) expect(Math.min(...took)).toBeLessThan(200)
    await row(hostile).first().click()
    await page.getByRole('dialog').getByText(hostile).waitFor()
    expect(await page.title()).toBe('Feed · Tidemark')
    await context.close()
  })

  test('axe finds nothing, dark or light, wide or narrow (TIDEMARK_TEST_LONG: each screen both ways); nothing is wider than the window', async () => {
    await sql.query(`select public.publish_alert('disk', 'host', 'eu-1', $1, 'warning', '{}'::jsonb)`, [hostile])
    const found: string[] = []
    const screens = [
      '/',
      `/move?file=${encodeURIComponent(join(project.dir, 'app.db'))}`,
      '/feed',
      '/cache',
      '/webhooks',
      '/alerts',
      '/systems',
      '/data?table=public.alerts&role=service_role',
      '/queries',
      '/realtime',
      '/resilience',
      '/settings',
    ]
    const looks = [
      ['dark', 1360],
      ['light', 360],
    ] as const
    for (const [turn, [colorScheme, width]] of looks.entries()) {
      const context = await browser.open({ colorScheme, bypassCSP: true })
      const page = await signedIn(context, '/')
      await page.setViewportSize({ width, height: 800 })
      for (const path of screens.filter((_, index) => isAlone || index % 2 === turn)) {
        await page.goto(`${url}${path}`)
        await page.locator('#screen > *').first().waitFor()
        await page.locator('.skeleton').first().waitFor({ state: 'detached' })
        found.push(...(await violations(page)).map((one) => `${colorScheme} ${path} ${one}`))
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
        if (over > 0) found.push(`${colorScheme} ${path} is ${over} wider than the window`)
      }
      await page.getByRole('button', { name: 'Operator' }).click()
      await page.getByRole('menuitem', { name: 'Sign out' }).click()
      await page.getByRole('button', { name: 'Sign in' }).waitFor()
      found.push(...(await violations(page)).map((one) => `${colorScheme} sign-in ${one}`))
      await context.close()
    }
    expect(found).toEqual([])
  })

  test('interactive at once, by two rounds of requests at most; a session that was taken away asks anew', async () => {
    const context = await browser.open()
    const page = await signedIn(context, '/')
    const times: number[] = []
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    for (let n = 0; n < (isAlone ? 3 : 1); n++) {
      const from = performance.now()
      await page.goto(`${url}/cache`)
      await page.getByRole('textbox', { name: 'Key' }).waitFor()
      times.push(performance.now() - from)
    }
    // The page names all files of its screen, so that none is found late; and the first of them asks for the data.
    const answers = asked.slice(asked.lastIndexOf('/cache') + 1)
    const firstData = answers.findIndex((path) => path.startsWith('/admin/'))
    expect(firstData).toBeGreaterThan(0)
    expect(answers.slice(firstData).filter((path) => path.startsWith('/assets/'))).toEqual([])
    if (isAlone) expect(Math.min(...times)).toBeLessThan(1_000)
    await page.goto(`${url}/cache?name=kept`)
    await page.getByRole('textbox', { name: 'Key' }).waitFor()
    await context.clearCookies()
    await page.getByRole('button', { name: 'Sign in' }).waitFor({ timeout: 15_000 })
    expect(page.url()).toBe(`${url}/cache?name=kept`)
    await page.getByLabel('Admin token').last().fill(status.admin.token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('textbox', { name: 'Key' }).waitFor()
    expect(page.url()).toBe(`${url}/cache?name=kept`)
    // One that is over in a moment: the page asks for another, and what is told of the feed by then ends with it. The page has to be there before.
    const { name, value } = await endingSession(6_000)
    const [cookie] = await context.cookies(`${url}/admin/v1`)
    expect(cookie?.name).toBe(name)
    await context.addCookies([{ ...cookie!, value }])
    const told = await fetch(`${url}/admin/v1/feed/tail`, { headers: { cookie: `${name}=${value}` } })
    expect(told.status).toBe(200)
    await page.goto(`${url}/cache?name=kept`)
    await page.getByRole('textbox', { name: 'Key' }).waitFor()
    expect(await told.text()).toContain('retry:')
    await page.getByRole('button', { name: 'Sign in' }).waitFor({ timeout: 15_000 })
    expect(page.url()).toBe(`${url}/cache?name=kept`)
    await context.close()
  })

  test('F17: a dead letter goes through with an edited body, and the audit log has not the body', async () => {
    const body = (contact: number) =>
      JSON.stringify({
        eventId: 'evt-1',
        event: 'peopleCreated',
        resourceIds: [contact],
        eventCreated: '2026-07-02T15:19:21Z',
        note: hostile,
      })
    const signature = createHmac('sha256', webhookSecret)
      .update(Buffer.from(body(7)).toString('base64'))
      .digest('hex')
    const headers = { 'content-type': 'application/json', 'x-rollout-signature': signature }
    expect((await fetch(`${url}/webhooks/rollout`, { method: 'POST', headers, body: body(7) })).status).toBe(202)
    const context = await browser.open()
    const page = await signedIn(context, '/webhooks?status=dead')
    await page.getByText('no such contact').first().click()
    await page.getByRole('button', { name: 'Edit and replay…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Replay with an edited body' })
    expect(await dialog.getByLabel('Body').inputValue()).toBe(body(7))
    await dialog.getByLabel('Body').fill('{')
    await dialog.getByRole('button', { name: 'Replay edited' }).click()
    await dialog.getByText(/cannot be sent through with this body/).waitFor()
    await dialog.getByLabel('Body').fill(body(8))
    await dialog.getByRole('button', { name: 'Replay edited' }).click()
    await dialog.waitFor({ state: 'hidden' })
    await page.getByRole('list', { name: 'Attempts' }).getByText('processed', { exact: true }).waitFor({ timeout: 30_000 })
    await page.getByRole('dialog').getByText('Body, as it came').waitFor()
    expect(await page.title()).toBe('Webhooks · Tidemark')
    const { rows } = await sql.query(
      `select convert_from(e.raw, 'UTF8') as raw, e.entity_id, (select string_agg(new_data::text, ' ') from audit_log where action = 'POST /hooks/replay') as audit from webhook_events e`,
    )
    expect(rows).toMatchObject([{ raw: body(7), entity_id: '8', audit: expect.stringContaining('sha256:') }])
    expect(rows[0].audit).not.toContain('peopleCreated')
    await context.close()
  })

  test('an alert, from firing to silenced; what is slow to answer is waited for, and what was asked last is shown', async () => {
    await sql.query(`select public.publish_alert('queue', 'host', 'eu-2', 'The queue is long', 'warning', '{}'::jsonb)`)
    const context = await browser.open()
    const page = await signedIn(context, '/alerts')
    await page.getByText('The queue is long').click()
    await page.getByRole('button', { name: 'Silence…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Silence' })
    expect(await dialog.getByLabel('What fits').inputValue()).toBe('alert_type=queue')
    await dialog.getByLabel('Comment').fill(hostile)
    await dialog.getByRole('button', { name: 'Silence', exact: true }).click()
    await page.getByText(/^Silenced for/).waitFor()
    await page.goto(`${url}/alerts?tab=silences`)
    await page.getByText('alert_type=queue').first().waitFor()
    expect(await page.title()).toBe('Alerts · Tidemark')
    let answered = 0
    await context.route('**/admin/v1/alerts?**', async (route) => {
      // The first is answered last.
      await new Promise((resolve) => setTimeout(resolve, route.request().url().includes('resolved') ? 1_500 : 300))
      answered += 1
      await route.continue().catch(() => undefined)
    })
    await page.goto(`${url}/alerts`)
    await page.getByText('The queue is long').waitFor()
    await page.getByLabel('Show').selectOption('resolved')
    await page.getByLabel('Show').selectOption('open')
    const asked = answered
    await expect.poll(() => answered - asked, { timeout: 30_000 }).toBeGreaterThan(1)
    await page.getByText('The queue is long').waitFor()
    await context.close()
  })

  test('C2: a user with a tidemark_role signs in, and may what that role may; one without may not', async () => {
    const headers = {
      apikey: status.keys.service,
      authorization: `Bearer ${status.keys.service}`,
      'content-type': 'application/json',
    }
    const make = (email: string, app_metadata: object) =>
      fetch(`${url}/auth/v1/admin/users`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ email, password: 'a long password', email_confirm: true, app_metadata }),
      })
    await make('vi@example.com', { tidemark_role: 'viewer' })
    await make('user@example.com', { role: 'author' })
    const context = await browser.open()
    const page = await context.newPage()
    await page.goto(`${url}/cache`)
    await page.getByRole('tab', { name: 'User' }).click()
    const submit = async (email: string): Promise<void> => {
      await page.getByLabel('Email').fill(email)
      await page.getByLabel('Password').fill('a long password')
      await page.getByRole('button', { name: 'Sign in' }).click()
    }
    await submit('user@example.com')
    await page.getByText('this user is no operator').waitFor()
    await submit('vi@example.com')
    await page.getByLabel('Name').fill('x')
    expect(await page.getByRole('button', { name: 'Preview…' }).isDisabled()).toBe(true)
    const refused = await page.evaluate(async () => {
      const { csrf } = await (await fetch('/admin/v1/session')).json()
      const answer = await fetch('/admin/v1/cache/evict', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-tidemark-csrf': csrf },
        body: '{"all":true}',
      })
      return [answer.status, document.cookie]
    })
    expect(refused).toEqual([403, ''])
    await context.close()
    const { rows } = await sql.query('select count(*)::int as n from auth.sessions')
    expect(rows[0].n).toBe(0)
  })

  test('nothing went wrong on any page', () => {
    expect(wrong.filter((one) => !one.includes('Failed to load resource'))).toEqual([])
  })
})
