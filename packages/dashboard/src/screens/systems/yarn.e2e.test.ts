// A yarn as an admin reads it: a real server, a real browser, and where words must not be found.
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findBrowser, startBrowser, type TestBrowser } from '../../../../tidemark/src/testing/browser.ts'
import { useProject } from '../../../../tidemark/src/testing/project/use-project.ts'

const chromium = findBrowser()
const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const migrations = fileURLToPath(new URL('../../../../../apps/supportive-yarn/migrations', import.meta.url))
const hostile = `"><img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`
const session = `yarn-${randomUUID()}`

/** The second with TIDEMARK_TEST_LONG=1. */
const looks = (
  [
    ['light', 360],
    ['dark', 1360],
  ] as const
).slice(0, process.env['TIDEMARK_TEST_LONG'] === undefined ? 1 : 2)

/** What of a yarn stands in a text; the text itself is too long to be told. */
const found = (text: string, ...more: readonly string[]): readonly string[] =>
  [hostile, "document.title='broken'", 'these people listen', session, ...more].filter((part) => text.includes(part))

interface Status {
  readonly admin: { readonly token: string }
  readonly database: { readonly url: string }
}

interface Axe {
  readonly axe: { run(): Promise<{ readonly violations: readonly { readonly id: string }[] }> }
}

describe.skipIf(chromium === undefined)('a yarn in a browser (Debian: apt-get install chromium)', () => {
  const project = useProject()
  let browser: TestBrowser
  let status: Status
  let url: string
  let sql: pg.Client

  const say = (role: 'user' | 'bot', message: string) =>
    sql.query(
      `with active as (update public.sessions set last_activity = now() where session_id = $1)
       insert into public.chat_history (session_id, role, message) values ($1, $2, $3)`,
      [session, role, message],
    )

  beforeAll(async () => {
    url = await project.serve()
    status = await project.run<Status>('status', '--show-keys')
    await project.run('schema', 'up', '--migrations', migrations)
    sql = new pg.Client({ connectionString: status.database.url })
    await sql.connect()
    await sql.query(`insert into public.sessions (session_id, fsm_state) values ($1, 'strengths')`, [session])
    await say('user', hostile)
    await say('bot', 'these people listen')
    await sql.query(`insert into public.risk_detections (session_id, trigger_phrase, user_message) values ($1, 'no hope', $2)`, [
      session,
      hostile,
    ])
    browser = await startBrowser(chromium!)
  })
  afterAll(async () => {
    await browser?.stop()
    await sql?.end()
  })

  const opened = async (context: BrowserContext, width: number): Promise<Page> => {
    const page = await context.newPage()
    await page.setViewportSize({ width, height: 800 })
    await page.goto(`${url}/systems?system=yarn`)
    await page.getByLabel('Admin token').last().fill(status.admin.token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    // By the keyboard, as by a click.
    await page.getByRole('grid', { name: 'Yarns' }).focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.getByText('risk noticed: medium').waitFor()
    return page
  }

  const troubles = async (page: Page): Promise<readonly string[]> => {
    await page.addScriptTag({ path: axePath })
    const violations = await page.evaluate(async () => (await (globalThis as unknown as Axe).axe.run()).violations)
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    return [...violations.map(({ id }) => id), ...(over > 0 ? [`${over} wider than the window`] : [])]
  }

  test.each(looks)(
    'SEC-2: %s, %i wide: its words come after a reason, go on with the feed, and are gone when it is closed',
    async (colorScheme, width) => {
      const context = await browser.open({ colorScheme, bypassCSP: true })
      const page = await opened(context, width)
      const addresses: string[] = []
      page.on('request', (request) => addresses.push(request.url()))
      expect(await troubles(page)).toEqual([])
      expect(await page.content()).not.toContain('these people listen')
      await page.getByLabel('Why do you have to read it?').fill('A nurse asked')
      const answered = page.waitForResponse('**/systems/yarn/words')
      await page.keyboard.press('Enter')
      expect((await answered).headers()['cache-control']).toBe('no-store')
      await page.getByText(hostile).waitFor()
      await page.getByText('by the feed').waitFor()
      await say('user', `said ${width}`)
      await page.getByText(`said ${width}`).waitFor()
      expect(await troubles(page)).toEqual([])
      expect(await page.title()).toBe('Systems · Tidemark')
      await page.keyboard.press('Escape')
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      const stored = await page.evaluate(async () =>
        JSON.stringify([
          { ...localStorage },
          { ...sessionStorage },
          await indexedDB.databases(),
          await caches.keys(),
          history.state,
        ]),
      )
      const everywhere = [await page.content(), stored, ...addresses].join('\n')
      expect(found(everywhere, `said ${width}`, 'A nurse asked')).toEqual([])
      expect(addresses.filter((address) => address.endsWith('/systems/yarn/words'))).toHaveLength(2)
      await context.close()
    },
  )

  test('the audit log has who looked and why, and nothing that the server wrote has a word', async () => {
    const { rows } = await sql.query(
      `select actor, actor_role, new_data->'body'->>'reason' as reason from audit_log where action = 'POST /systems/yarn/words'`,
    )
    const look = { actor: 'admin token', actor_role: 'operator:admin', reason: 'A nurse asked' }
    // Each look is one, and one more for what was said meanwhile.
    expect(rows).toEqual(looks.flatMap(() => [look, look]))
    const audit = await sql.query(
      `select string_agg(new_data::text, ' ') as text from audit_log where table_name = 'tidemark.operations'`,
    )
    const written = `${audit.rows[0].text} ${project.server.stdout} ${project.server.stderr}`
    expect(written).toContain('/systems/yarn/words')
    expect(found(written, 'said 360')).toEqual([])
  })
})
