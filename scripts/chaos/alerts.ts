/**
 * Alerts while nodes are killed, channels fail and Postgres stops: `npm run chaos:alerts -- --seconds 120 --seed 1`. Transactions publish and
 * resolve, some of them in vain. In the end every condition is as its transactions left it, counted to the last signal; everything was told,
 * each thing under one name; nothing was told that never was. It also prints how soon a critical alert reaches its first channel.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { outsideDir } from '../../packages/tidemark/dist/postgres/embedded/place.js'
import { bootstrappedTemplate, testUrl } from '../../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { openState } from '../../packages/tidemark/dist/state/state.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { count, interruptible, main, parseOptions } from '../options.ts'
import { AlertsReceiver } from './alerts/receiver.ts'
import type { AlertsNodeOptions } from './alerts/words.ts'
import { type Dice, diceOf } from './random.ts'
import { Tally, tell } from './tally.ts'

const nodeScript = fileURLToPath(new URL('alerts/node.ts', import.meta.url))
const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`
const conditions = 30

interface Asked {
  readonly seconds: number
  readonly seed: number
  readonly outages: number
}

/** What transactions left behind: those whose end is not known may count or not. */
interface Truth {
  raised: number
  unknown: number
  last: 'raise' | 'resolve' | 'unknown' | undefined
}

class Nodes {
  readonly #options: AlertsNodeOptions
  #children: ChildProcess[] = []

  constructor(options: AlertsNodeOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const args = ['node_modules/.bin/jiti', nodeScript, JSON.stringify(this.#options)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#children.push(child)
    await Promise.race([once(child.stdout!, 'data'), once(child, 'close')])
  }

  async kill(dice: Dice): Promise<void> {
    const [child] = this.#children.splice(Math.floor(dice() * this.#children.length), 1)
    child?.kill('SIGKILL')
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }

  async stop(): Promise<void> {
    while (this.#children.length > 0) await this.kill(() => 0)
  }
}

const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Publishes and resolves until it is told to stop; of what fails on the way it is not known whether it was. */
const write = async (url: () => string, dice: Dice, truths: Map<string, Truth>, goesOn: () => boolean): Promise<void> => {
  let client: pg.Client | undefined
  while (goesOn()) {
    const entity = `condition-${Math.floor(dice() * conditions)}`
    const truth = truths.get(entity) ?? { raised: 0, unknown: 0, last: undefined }
    truths.set(entity, truth)
    const action = dice() < 0.8 ? 'raise' : 'resolve'
    const isVain = dice() < 0.2
    let isBegun = false
    try {
      client ??= await connect(url())
      await client.query('begin')
      if (action === 'raise') {
        const severity = dice() < 0.2 ? 'critical' : 'error'
        await client.query('select publish_alert($1, $2, $3, $4, $5)', ['chaos', entity, 'condition', 'It is so.', severity])
        if (isVain)
          await client.query('select publish_alert($1, $2, $3, $4, $5)', [
            'ghost',
            `ghost-${entity}`,
            'condition',
            'No.',
            'critical',
          ])
      } else await client.query('select resolve_alert($1, $2, $3)', ['chaos', entity, 'condition'])
      isBegun = true
      await client.query(isVain ? 'rollback' : 'commit')
      if (!isVain) {
        truth.raised += action === 'raise' ? 1 : 0
        truth.last = action
      }
    } catch {
      if (isBegun && !isVain) {
        truth.unknown += action === 'raise' ? 1 : 0
        truth.last = 'unknown'
      }
      await client?.end().catch(() => undefined)
      client = undefined
      await pause(100)
    }
    await pause(5)
  }
  await client?.end().catch(() => undefined)
}

/** From the commit of a transaction to the first channel. */
const measure = async (url: string, ops: AlertsReceiver, times: number): Promise<readonly number[]> => {
  const client = await connect(url)
  const taken: number[] = []
  for (let n = 0; n < times; n += 1) {
    await client.query(`select publish_alert('measured', $1, 'condition', 'It is so.', 'critical')`, [`measured-${n}`])
    const from = Date.now()
    const at = await until(() => ops.entities.get(`measured-${n}`), { timeoutMs: 20_000, intervalMs: 5 })
    taken.push(at - from)
  }
  await client.end()
  return taken.sort((one, other) => one - other)
}

/** Nothing waits any more; what was put off for long is not waited for. */
const settle = async (url: string): Promise<void> => {
  const client = await connect(url)
  const waits = async (): Promise<boolean> => {
    await client.query(
      `update tidemark.alert_notifications set due_at = now() where status = 'waiting' and held is distinct from 'flapping' and due_at > now() + interval '1 s'`,
    )
    const { rows } = await client.query(
      `select (select count(*) from tidemark.alert_signals where folded_at is null)
            + (select count(*) from tidemark.alert_notifications where status = 'waiting' and held is distinct from 'flapping') as n`,
    )
    return Number((rows as { n: string }[])[0]?.n) === 0
  }
  await until(waits, { timeoutMs: 180_000, intervalMs: 500, what: 'The end of what waits' }).finally(() => client.end())
}

interface Row {
  readonly id: string
  readonly entity_id: string
  readonly alert_type: string
  readonly status: string
  readonly occurrences: number
  readonly notification_sent: boolean
}

const check = async (
  url: string,
  tally: Tally,
  truths: ReadonlyMap<string, Truth>,
  told: AlertsReceiver['told'],
  entities: Iterable<string>,
  outages: number,
): Promise<void> => {
  const client = await connect(url)
  const { rows } = await client.query<Row>(
    'select id, entity_id, alert_type, status, occurrences, notification_sent from public.alerts',
  )
  const { rows: sent } = await client.query<{ key: string }>(
    `select kind || ' ' || alert_id as key from tidemark.alert_notifications where status = 'delivered' and alert_id is not null`,
  )
  // Without Redis each node tells by itself that Postgres is away, under the name of its own signal, which became part of one alert.
  const { rows: signals } = await client.query<{ id: string }>('select id from tidemark.alert_signals where alert_id is not null')
  await client.end()
  const ids = new Set([...rows, ...signals].map(({ id }) => id))
  for (const [entity, { raised, unknown, last }] of truths) {
    const own = rows.filter(({ entity_id, alert_type }) => entity_id === entity && alert_type === 'chaos')
    const counted = own.reduce((sum, { occurrences }) => sum + occurrences, 0)
    if (counted < raised || counted > raised + unknown)
      tally.fail(`${entity}: ${counted} counted of ${raised} raised and ${unknown} unknown`)
    const open = own.filter(({ status }) => status !== 'resolved').length
    if (last !== 'unknown' && open !== (last === 'raise' ? 1 : 0))
      tally.fail(`${entity}: ${open} open, and the last word was ${last}`)
  }
  if (rows.some(({ alert_type }) => alert_type === 'ghost')) tally.fail('a transaction that was rolled back left an alert')
  for (const { key } of sent) if (!told.has(key)) tally.fail(`${key} counts as told, and nobody heard it`)
  for (const [key, { names }] of told) {
    if (!ids.has(key.split(' ')[1] ?? '')) tally.fail(`${key} was told, and never was`)
    if (key.startsWith('firing') && names.size > 2) tally.fail(`${key} was told under ${names.size} names`)
  }
  const away = rows.filter(({ alert_type }) => alert_type === 'database-away')
  if (outages > 0 && away.length === 0) tally.fail('Postgres was away, and nobody noticed')
  if (outages > 0 && ![...entities].includes('postgres')) tally.fail('that Postgres was away was not told')
  const untold = rows.filter(
    ({ id, status, notification_sent }) =>
      status === 'active' && !notification_sent && !told.has(`flapping ${id}`) && !told.has(`firing ${id}`),
  )
  // What comes and goes is told once; what it does after that is told when it stays.
  if (untold.some(({ alert_type }) => alert_type !== 'chaos')) tally.fail(`${untold.length} open alerts were not told`)
  tell(`${rows.length} alerts, ${told.size} things told, ${sent.length} notifications delivered`)
}

const storm = async (
  nodes: Nodes,
  ops: AlertsReceiver,
  dice: Dice,
  tally: Tally,
  restart: () => Promise<void>,
  { seconds, outages }: Asked,
): Promise<void> => {
  const endsAt = performance.now() + seconds * 1000
  let left = outages
  while (performance.now() < endsAt) {
    await pause(500 + dice() * 1000)
    const fault = dice()
    if (left > 0 && performance.now() > endsAt - (seconds * 1000 * left) / (outages + 1)) {
      left -= 1
      await restart()
      tally.strike('Postgres stopped', 'storm')
    } else if (fault < 0.5) {
      await Promise.all([nodes.kill(dice), nodes.start()])
      tally.strike('node killed', 'storm')
    } else {
      ops.mood = fault < 0.7 ? 'failing' : fault < 0.8 ? 'silent' : 'well'
      if (ops.mood !== 'well') tally.strike(`channel ${ops.mood}`, 'storm')
    }
  }
  ops.mood = 'well'
}

const run = async (asked: Asked, signal: AbortSignal): Promise<boolean> => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-chaos-alerts-'))
  await chmod(folder, 0o755)
  const start = async (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ state: await openState(folder), disposable: true, restart: false, settings: { fsync: 'off' } })
  let postgres = await start()
  const [ops, backup, tally, dice] = [new AlertsReceiver(), new AlertsReceiver(), new Tally(), diceOf(asked.seed)]
  const truths = new Map<string, Truth>()
  await bootstrappedTemplate.prepare(postgres.url)
  const urls = { ops: await ops.start(), backup: await backup.start() }
  const nodes = new Nodes({ ...urls, secret, url: testUrl(postgres.url, 'app'), folder: join(folder, 'journal') })
  let taken: readonly number[] = []
  let isOn = true
  try {
    await Promise.all([nodes.start(), nodes.start()])
    taken = await interruptible(signal, measure(postgres.url, ops, Math.min(20, asked.seconds)))
    const restart = async (): Promise<void> => {
      await postgres.stop()
      // Until a node has noticed; a check takes up to two seconds.
      await until(() => [...ops.entities.keys()].includes('postgres') || ops.mood !== 'well', { timeoutMs: 30_000 }).catch(
        () => undefined,
      )
      postgres = await start()
    }
    const writing = write(
      () => postgres.url,
      dice,
      truths,
      () => isOn,
    )
    await interruptible(signal, storm(nodes, ops, diceOf(asked.seed + 1), tally, restart, asked))
    isOn = false
    await writing
    while (tally.count('node killed') === 0) {
      await Promise.all([nodes.kill(dice), nodes.start()])
      tally.strike('node killed', 'end')
    }
    await settle(postgres.url)
    const told = new Map([...backup.told, ...ops.told])
    await check(postgres.url, tally, truths, told, [...ops.entities.keys(), ...backup.entities.keys()], asked.outages)
  } finally {
    isOn = false
    await nodes.stop()
    await Promise.all([ops.stop(), backup.stop()])
    await postgres.stop()
    for (const path of [folder, outsideDir(folder)]) await rm(path, { recursive: true, force: true, maxRetries: 5 })
  }
  for (const line of tally.lines()) console.log(line)
  for (const failure of tally.failures.slice(0, 20)) console.log(failure)
  const raised = [...truths.values()].reduce((sum, truth) => sum + truth.raised, 0)
  console.log(
    `critical alert to its first channel, in ms: p50 ${taken[taken.length >> 1]}, max ${taken.at(-1)} (target 3000, quiet nodes)`,
  )
  console.log(
    `${tally.failures.length === 0 ? 'PASSED' : 'FAILED'}: ${raised} signals of ${truths.size} conditions in ${asked.seconds} s, seed ${asked.seed}`,
  )
  return tally.failures.length === 0
}

const usage = `npm run chaos:alerts -- [options]
  --seconds <n>   how long (default 120)
  --outages <n>   how often Postgres stops meanwhile (default 3)
  --seed <n>      what the dice begin with (default 1)`

await main((signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { seconds: option, outages: option, seed: option })
  const asked = {
    seconds: count('seconds', values['seconds'], { default: 120, min: 3, max: 86_400 }),
    outages: count('outages', values['outages'], { default: 3, min: 0, max: 100 }),
    seed: count('seed', values['seed'], { default: 1, min: 0, max: 2 ** 31 }),
  }
  return run(asked, signal)
})
