// The five applications, as `npm start` shows them: their tables are made, on the first run they are filled, and each runs in a process of its own
// until this one is ended. `tidemark dev -- jiti scripts/systems.ts` calls it, with the variables by which applications find everything.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { createWorker, type Worker } from '../apps/agents/src/worker.ts'
import { withDatabase } from '../packages/tidemark/src/config/database-in-url.ts'
import { programAddress } from '../packages/tidemark/src/testing/app/program-address.ts'
import { createRandom } from '../packages/tidemark/src/testing/random.ts'
import { root } from './repository.ts'
import { agents, type Door, fillAgents, fillChats, fillYarns } from './systems/fill.ts'
import { appFolder, type System, systems } from './systems/systems.ts'

const folder = join(root, '.tidemark/systems')
const databaseVariables = ['DATABASE_URL', 'OWNER_DATABASE_URL', 'FEED_DATABASE_URL', 'CALLERS_DATABASE_URL'] as const
const replaced = [...databaseVariables, 'REDIS_URL', 'JWT_SECRET', 'SUPABASE_JWT_SECRET', 'SUPABASE_URL'] as const

const running: ChildProcess[] = []
const workers: Worker[] = []
let isEnding = false

/** A program that ends; raises with what it said where that is not with 0. */
const run = async (args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> => {
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2_000)
    })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0 && !isEnding) throw new Error(`${args.slice(0, 4).join(' ')} ended with ${code}:\n${said}`)
}

/** As `npm start` itself was called: with the Postgres that was configured, not with the lesser logins that are for applications. */
const givenEnvironment = (): NodeJS.ProcessEnv => {
  const env = { ...process.env }
  for (const name of replaced) {
    delete env[name]
    const given = process.env[`TIDEMARK_GIVEN_${name}`]
    if (given !== undefined) env[name] = given
  }
  return env
}

const tidemark = (...args: string[]): Promise<void> =>
  run([join(root, 'packages/tidemark/bin/tidemark.js'), ...args], givenEnvironment())

const environmentOf = ({ name, database, env }: System): NodeJS.ProcessEnv => ({
  ...process.env,
  ...(database !== undefined &&
    Object.fromEntries(databaseVariables.map((each) => [each, withDatabase(process.env[each] ?? '', database)]))),
  STATE_FOLDER: join(folder, name),
  ...env,
})

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer().listen(port, '127.0.0.1')
  return await Promise.race([once(server, 'listening').then(() => true), once(server, 'error').then(() => false)])
    .catch(() => false)
    .finally(() => server.close())
}

const startApp = async (system: System): Promise<string> => {
  const port = (await isFree(system.port)) ? system.port : 0
  const env = { ...environmentOf(system), PORT: String(port) }
  const main = join(appFolder(system.name), 'dist/main.js')
  const child = spawn(process.execPath, [main], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  const log = createWriteStream(join(folder, `${system.name}.log`))
  const url = await programAddress(child, main, (text) => log.write(text))
  child.once('close', (code, signal) => {
    if (!isEnding) console.log(`${system.title} ended with ${signal ?? code}; see ${join(folder, `${system.name}.log`)}.`)
  })
  return url
}

const migrate = async (): Promise<void> => {
  const foldersOf = (some: readonly System[]) => some.map(({ name }) => join(appFolder(name), 'migrations')).join(',')
  await tidemark('schema', 'up', '--migrations', foldersOf(systems.filter(({ database }) => database === undefined)))
  for (const system of systems.filter(({ database }) => database !== undefined))
    await tidemark('schema', 'up', '--database', system.database!, '--migrations', foldersOf([system]))
}

const isEmpty = async (system: System, table: string): Promise<boolean> => {
  const client = new pg.Client({ connectionString: environmentOf(system)['OWNER_DATABASE_URL'] })
  await client.connect()
  try {
    return (await client.query(`select from public.${table} limit 1`)).rows.length === 0
  } finally {
    await client.end()
  }
}

const dayMs = 86_400_000

/** A file of the old application, with what such files have wrong, moved as one moves them; days around today. */
const fillTours = async (): Promise<void> => {
  const file = join(folder, 'reanna_router.db')
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true })
  const firstDay = new Date(Date.now() - 15 * dayMs).toISOString().slice(0, 10)
  const app = appFolder('reanna-router')
  await run([join(app, 'dist/generate.js'), file, '--tours', '60', '--first-day', firstDay, '--days', '30'], process.env)
  await tidemark('move', 'copy', file, '--into', 'existing', '--map', join(app, 'maps/reanna-router.map.json'))
}

const fillLeads = (system: System): Promise<void> =>
  run(
    [
      join(appFolder(system.name), 'dist/generate.js'),
      '--database',
      environmentOf(system)['OWNER_DATABASE_URL'] ?? '',
      '--leads',
      '120',
    ],
    process.env,
  )

/** Before it runs: what is brought in past its rules. */
const fillBefore: Readonly<Record<string, { readonly table: string; readonly fill: (system: System) => Promise<void> }>> = {
  'reanna-router': { table: 'tours', fill: fillTours },
  're-engine': { table: 'leads', fill: fillLeads },
}

/** Once it runs: what is done with it. */
const fillAfter: Readonly<Record<string, { readonly table: string; readonly fill: (door: Door) => Promise<void> }>> = {
  'supportive-yarn': { table: 'sessions', fill: fillYarns },
  chat: { table: 'chat_sessions', fill: fillChats },
  agents: { table: 'agent_instances', fill: fillAgents },
}

/** A user of the chat; the service writes in its name. */
const subject = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1a01'

const tokenOf = async (sub?: string): Promise<string> => {
  const { SignJWT } = await import('jose')
  const token = new SignJWT({ role: 'service_role' }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1d')
  return (sub === undefined ? token : token.setSubject(sub)).sign(new TextEncoder().encode(process.env['JWT_SECRET']))
}

/** Without them every agent would be offline in a minute and a half. */
const startWorkers = async (url: string): Promise<void> => {
  const random = createRandom(4)
  for (const { agent_id: agentId } of agents) {
    const run = async () => {
      if (random.chance(0.15)) throw new Error('The model had nothing to say.')
      return { output: { text: 'done' }, quality: 0.6 + random.fraction() * 0.4 }
    }
    const worker = createWorker({ url, token: await tokenOf(), agentId, run })
    workers.push(worker)
    worker.start()
  }
}

const open = async (system: System): Promise<string> => {
  const [before, after] = [fillBefore[system.name], fillAfter[system.name]]
  if (before && (await isEmpty(system, before.table))) await before.fill(system)
  const url = await startApp(system)
  if (after && (await isEmpty(system, after.table)))
    await after.fill({ url, token: await tokenOf(system.name === 'chat' ? subject : undefined) })
  if (system.name === 'agents') await startWorkers(url)
  return url
}

const end = async (): Promise<void> => {
  if (isEnding) return
  isEnding = true
  for (const worker of workers) void worker.stop()
  const closed = running.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
  for (const child of closed) child.kill('SIGTERM')
  await Promise.all(closed.map((child) => once(child, 'close')))
  process.exit(0)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end())

try {
  mkdirSync(folder, { recursive: true })
  await migrate()
  console.log('\n  Systems')
  for (const system of systems)
    await open(system).then(
      (url) => console.log(`    ${system.title.padEnd(16)}  ${url.padEnd(24)}  ${system.about}`),
      (error: Error) => !isEnding && console.log(`    ${system.title.padEnd(16)}  not started: ${error.message}`),
    )
  if (!isEnding)
    console.log(
      `  The dashboard shows them under Systems. SUPABASE_SERVICE_ROLE_KEY (\`npx tidemark status --show-keys\`) opens each; logs are in .tidemark/systems.`,
    )
} catch (error) {
  if (!isEnding) console.error(`The systems were not started: ${(error as Error).message}`)
  await end()
}
