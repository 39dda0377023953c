// `npm run docs:images`: the pictures of docs/images, of a server with a move under way, webhooks, alerts and agents. Needs Chromium.
import { createHmac } from 'node:crypto'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCli } from '../../packages/tidemark/dist/testing/project/cli-call.js'
import { main } from '../../scripts/options.ts'
import { type DashboardStage, openDashboardStage } from './stage.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = join(root, 'docs/images')
const secret = 'a secret of these pictures'

const configuration = `export default {
  webhooks: {
    keys: { rollout: [{ key: '${secret}' }] },
    maxRetries: 1,
    on: { 'contact.created': async ({ entity }) => { if (entity.externalId === '7') throw new Error('no such contact: 7') } },
  },
}`

const prepare = async (dir: string): Promise<void> => {
  await copyFile(join(root, 'samples/northwind.db'), join(dir, 'app.db'))
  await writeFile(join(dir, 'tidemark.config.mjs'), configuration)
}

const sendWebhooks = async (url: string): Promise<void> => {
  for (let contact = 1; contact <= 12; contact++) {
    const body = JSON.stringify({
      eventId: `evt-${contact}`,
      event: 'peopleCreated',
      resourceIds: [contact],
      eventCreated: '2026-07-02T15:19:21Z',
    })
    const signature = createHmac('sha256', secret).update(Buffer.from(body).toString('base64')).digest('hex')
    const headers = { 'content-type': 'application/json', 'x-rollout-signature': signature }
    await fetch(`${url}/webhooks/rollout`, { method: 'POST', headers, body })
  }
}

const seed = async ({ url, dir, sql }: DashboardStage): Promise<void> => {
  const { exitCode, stderr } = await runCli(['schema', 'up', '--migrations', join(root, 'apps/agents/migrations')], { cwd: dir })
  if (exitCode !== 0) throw new Error(stderr)
  await sql.query(`
    insert into agent_instances (agent_id, agent_type, status) values
      ('writer-1', 'content_generator', 'idle'), ('writer-2', 'content_generator', 'idle'), ('asker-1', 'quiz_generator', 'initializing');
    insert into agent_executions (task_id, agent_type, task_type) select 'task-' || n, 'content_generator', 'write' from generate_series(1, 6) n;
    insert into agent_metrics (agent_instance_id, agent_type, period_start, period_end, tasks_completed, tasks_failed, average_execution_time)
      select i.id, i.agent_type, now() - n * interval '5 min', now() - (n - 1) * interval '5 min', 3 + n % 4, n % 3, 2 + n % 5
        from agent_instances i, generate_series(1, 24) n where i.agent_id = 'writer-1';
    select publish_alert('disk_space', 'host', 'eu-1', 'Disk is at 91 %', 'warning', '{"zone": "b"}'::jsonb)`)
  await sendWebhooks(url)
}

interface TextNode {
  textContent: string
}

/** What of the page is needed. */
interface Texts {
  readonly body: unknown
  createTreeWalker(root: unknown, what: number): { nextNode(): TextNode | null }
}

interface Picture {
  readonly name: string
  readonly path: string
  readonly colorScheme: 'dark' | 'light'
  readonly width: number
  readonly height: number
  /** What has to be there. */
  readonly shows: string
}

const take = async ({ open, dir }: DashboardStage, picture: Picture): Promise<void> => {
  const { name, path, colorScheme, width, height, shows } = picture
  const { context, page } = await open(path, { colorScheme })
  await page.setViewportSize({ width, height })
  await page.getByText(shows).first().waitFor()
  await page.locator('.skeleton').first().waitFor({ state: 'detached' })
  // Charts need two readings.
  await page.waitForTimeout(4_500)
  // The folder is this run's own, and says nothing to readers.
  await page.evaluate((folder) => {
    const { document } = globalThis as unknown as { readonly document: Texts }
    const walker = document.createTreeWalker(document.body, 4)
    for (let node = walker.nextNode(); node; node = walker.nextNode())
      node.textContent = node.textContent.replace(folder, '/srv/shop')
  }, dir)
  await page.screenshot({ path: join(folder, `${name}.png`), scale: 'css' })
  await context.close()
  console.log(`docs/images/${name}.png`)
}

const carryMove = async ({ open, dir }: DashboardStage): Promise<string> => {
  const { context, page } = await open('/move')
  await page.getByText('app.db', { exact: true }).click()
  await page.getByRole('button', { name: 'Make the plan' }).click()
  await page.getByRole('button', { name: 'Copy and follow' }).click()
  await page.locator('.next h2').getByText('Ready to cut over').waitFor({ timeout: 120_000 })
  await context.close()
  return `/move?file=${encodeURIComponent(join(dir, 'app.db'))}`
}

await main(async () => {
  await mkdir(folder, { recursive: true })
  const stage = await openDashboardStage({ prepare })
  try {
    await seed(stage)
    const move = await carryMove(stage)
    const wide = { width: 1280, height: 800 }
    const narrow = { width: 390, height: 800 }
    await take(stage, { name: 'overview', path: '/', colorScheme: 'dark', ...wide, shows: 'Overview' })
    await take(stage, { name: 'move', path: move, colorScheme: 'light', ...wide, shows: 'Ready to cut over' })
    await take(stage, { name: 'move-narrow', path: move, colorScheme: 'dark', ...narrow, shows: 'Ready to cut over' })
    await take(stage, { name: 'webhooks', path: '/webhooks', colorScheme: 'light', ...wide, shows: 'no such contact' })
    await take(stage, { name: 'systems', path: '/systems?system=agents', colorScheme: 'dark', ...wide, shows: 'writer-1' })
    return true
  } finally {
    await stage.stop()
  }
})
