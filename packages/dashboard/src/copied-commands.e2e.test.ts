// What the dashboard puts on the clipboard, run as it stands there.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findBrowser, startBrowser, type TestBrowser } from '../../tidemark/src/testing/browser.ts'
import { runCli } from '../../tidemark/src/testing/project/cli-call.ts'
import { useProject } from '../../tidemark/src/testing/project/use-project.ts'

const run = promisify(execFile)
const chromium = findBrowser()
const northwind = fileURLToPath(new URL('../../../samples/northwind.db', import.meta.url))

interface Status {
  readonly admin: { readonly token: string }
  readonly database: { readonly url: string }
}

interface Copying {
  readonly copied: string[]
  readonly navigator: { readonly clipboard: { writeText(text: string): Promise<void> } }
}

type Place = readonly [path: string, first?: (page: Page) => Promise<unknown>]

/** Where what is copied depends on what was typed or chosen, and what is done there first. */
const places: readonly Place[] = [
  ['/move?file=FILE'],
  ['/cache?key=a%20key&name=a%20key'],
  ["/webhooks?status=dead&provider=it's&type=a%20b&entity=7"],
  ['/alerts', (page) => page.getByText('The queue is long').click()],
]
const otherPlaces: readonly Place[] = [
  ['/'],
  ['/feed?tables=public.alerts'],
  ['/resilience'],
  ['/data?tab=migrations'],
  ['/data?tab=exposure'],
  ['/data?table=public.alerts&role=service_role'],
  ['/queries?tab=explain&sql=select%201'],
  ['/realtime?topic=room:1'],
  ['/settings?tab=configuration'],
  ['/settings?tab=keys'],
  ['/settings?tab=audit'],
]
const isLong = process.env['TIDEMARK_TEST_LONG'] !== undefined

const hasCurl = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'curl')))

describe.skipIf(chromium === undefined || !hasCurl)('what is copied in a browser (Debian: apt-get install chromium curl)', () => {
  const project = useProject()
  let browser: TestBrowser
  let sql: pg.Client
  let url: string
  let token: string

  beforeAll(async () => {
    await copyFile(northwind, join(project.dir, 'app.db'))
    url = await project.serve()
    const { admin, database } = await project.run<Status>('status', '--show-keys')
    token = admin.token
    sql = new pg.Client({ connectionString: database.url })
    await sql.connect()
    browser = await startBrowser(chromium!)
  })
  afterAll(async () => {
    await browser?.stop()
    await sql?.end()
  })

  /** Of every menu that the place has. */
  const copiedAt = async (page: Page): Promise<readonly string[]> => {
    const menus = page.getByRole('button', { name: 'Copy as command' })
    await menus.first().waitFor()
    for (let at = 0; at < (await menus.count()); at++) {
      for (const item of ['Copy as CLI', 'Copy as curl']) {
        await menus.nth(at).click()
        await page.getByRole('menu').waitFor()
        const choice = page.getByRole('menuitem', { name: item })
        if ((await choice.count()) > 0) await choice.click()
        else await page.keyboard.press('Escape')
        await page.getByRole('menu').waitFor({ state: 'detached' })
      }
    }
    return page.evaluate(() => (globalThis as unknown as Copying).copied.splice(0))
  }

  const outcomeOf = async (command: string): Promise<string> => {
    if (command.startsWith('curl ')) {
      // What is streamed has no end; on a busy machine an answer may begin late.
      const askFor = async (seconds: number): Promise<string> => {
        const asked = `${command} --silent --max-time ${seconds} --output /dev/null --write-out '%{http_code}'`
        const { stdout } = await run('sh', ['-c', asked], { env: { ...process.env, TIDEMARK_ADMIN_TOKEN: token } }).catch(
          (failed: { readonly stdout: string }) => failed,
        )
        return stdout
      }
      const status = await askFor(3)
      return status === '000' ? askFor(30) : status
    }
    // A shell parts the words, as it does for whoever pastes them.
    const { stdout } = await run('sh', ['-c', `printf '%s\\0' ${command}`])
    const [npx, program, ...args] = stdout.split('\0').slice(0, -1)
    expect([npx, program]).toEqual(['npx', 'tidemark'])
    const { exitCode, stderr } = await runCli(args, { cwd: project.dir })
    return exitCode === 0 ? 'done' : `${exitCode}: ${stderr}`
  }

  test('each command and each request does what the screen does (TIDEMARK_TEST_LONG: on every screen)', async () => {
    await sql.query(`select public.publish_alert('queue', 'host', 'eu-2', 'The queue is long', 'warning', '{}'::jsonb)`)
    const page = await (await browser.open()).newPage()
    await page.addInitScript(() => {
      const here = globalThis as unknown as Copying
      Object.assign(here, { copied: [] })
      here.navigator.clipboard.writeText = async (text) => void here.copied.push(text)
    })
    await page.goto(url)
    await page.getByLabel('Admin token').last().fill(token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('#screen').waitFor()
    const commands = new Set<string>()
    for (const [path, first] of isLong ? [...places, ...otherPlaces] : places) {
      await page.goto(`${url}${path.replace('FILE', encodeURIComponent(join(project.dir, 'app.db')))}`)
      await page.locator('.skeleton').first().waitFor({ state: 'detached' })
      await first?.(page)
      for (const command of await copiedAt(page)) commands.add(command)
    }
    expect(commands.size).toBeGreaterThan(isLong ? 25 : 8)
    const wrong: string[] = []
    for (const command of commands) {
      // It goes on until it is ended.
      if (command.startsWith('npx tidemark feed tail')) continue
      const outcome = await outcomeOf(command)
      if (!/^(done|20\d)$/.test(outcome)) wrong.push(`${command}: ${outcome}`)
    }
    expect(wrong).toEqual([])
  })
})
