import pg from 'pg'
import type { BrowserContext, Page } from 'playwright-core'
import { findBrowser, startBrowser, type TestBrowser } from '../../packages/tidemark/dist/testing/browser.js'
import { createProjectFolder, startCli, untilServing } from '../../packages/tidemark/dist/testing/project/cli-process.js'

/** A server as `tidemark dev` starts it, and a browser that nobody sees. */
export interface DashboardStage {
  readonly url: string
  readonly dir: string
  readonly sql: pg.Client
  /** A window of its own, signed in. */
  open(path: string, options?: WindowOptions): Promise<{ readonly context: BrowserContext; readonly page: Page }>
  /** A window of its own. */
  window(): Promise<BrowserContext>
  stop(): Promise<void>
}

type WindowOptions = Parameters<TestBrowser['open']>[0]

export interface DashboardStageOptions {
  /** Beside `dev`. */
  readonly args?: readonly string[]
  /** Done in the project's folder before the server starts. */
  prepare?(folder: string): Promise<void>
}

interface Banner {
  readonly database: { readonly url: string }
  readonly admin: { readonly token: string }
}

/** Raises where there is no browser. */
export const openDashboardStage = async ({ args = [], prepare }: DashboardStageOptions = {}): Promise<DashboardStage> => {
  const executable = findBrowser()
  if (executable === undefined) throw new Error('there is no browser here: apt-get install chromium')
  const folder = await createProjectFolder()
  await prepare?.(folder.dir)
  const server = startCli(['dev', '--json', ...args], { cwd: folder.dir, env: { PORT: '0' } })
  const stop = async (): Promise<void> => {
    server.child.kill('SIGTERM')
    await server.ended
    await folder.remove()
  }
  try {
    const url = await untilServing(server)
    const { database, admin } = JSON.parse(server.stdout) as Banner
    const sql = new pg.Client({ connectionString: database.url })
    // The server takes its database along when it ends.
    sql.on('error', () => undefined)
    await sql.connect()
    const browser = await startBrowser(executable)
    const window = () => browser.open()
    const open: DashboardStage['open'] = async (path, options) => {
      const context = await browser.open(options)
      const page = await context.newPage()
      await page.goto(`${url}${path}`)
      await page.getByLabel('Admin token').last().fill(admin.token)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.locator('#screen').waitFor()
      return { context, page }
    }
    return {
      url,
      dir: folder.dir,
      sql,
      open,
      window,
      stop: async () => {
        await browser.stop()
        await sql.end()
        await stop()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}
