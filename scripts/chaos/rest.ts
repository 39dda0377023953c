/**
 * Random requests by the million: `npm run chaos:rest -- --requests 1000000 --seed 1`. All of a request's words may be anything; its
 * role is anon, one of two users or the service. Most requests are read, resolved and written as a statement, and a share is run by
 * Postgres. No answer may hold what its role may not see, no statement a word of its request. The exit status is 0 only if all was well.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { createLogger } from '../../packages/tidemark/dist/observability/log.js'
import { startEmbeddedPostgres } from '../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { outsideDir } from '../../packages/tidemark/dist/postgres/embedded/place.js'
import type { BatchResult, Pool } from '../../packages/tidemark/dist/postgres/postgres.js'
import { createNamedPool } from '../../packages/tidemark/dist/postgres/postgres.js'
import { createRest, openCatalogue, type Rest } from '../../packages/tidemark/dist/rest/rest.js'
import { bootstrappedTemplate, testUrl } from '../../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { openState } from '../../packages/tidemark/dist/state/state.js'
import { count, interruptible, main, parseOptions, UsageError } from '../options.ts'
import { type Dice, diceOf } from './random.ts'
import { answerFault, statementFault } from './rest/invariants.ts'
import { type ChaosRequest, type Role, requestsOf } from './rest/requests.ts'
import { owners, restDigest, restRows, restSchema } from './rest/schema.ts'
import { Tally, tell } from './tally.ts'

const callers = {
  anon: { role: 'anon', claims: {} },
  ann: { role: 'authenticated', claims: { sub: owners.ann.id, role: 'authenticated' } },
  bob: { role: 'authenticated', claims: { sub: owners.bob.id, role: 'authenticated' } },
  service: { role: 'service_role', claims: {} },
} as const satisfies Readonly<Record<Role, { role: string; claims: object }>>

const batchSize = 1_000
const atOnce = 4
const maxFaults = 20

/** How long one request may take where Postgres has no part, and where it has; a busy machine is given some time. */
const boundMs = { pure: 2_000, through: 15_000 } as const

/** What a statement would give of which nothing is run, no row, and what would give its plan. */
const nothingRan: readonly [BatchResult, BatchResult] = [
  { rows: [['0', '0', '[]', null, null, null, null]], tag: 'SELECT 1' },
  { rows: [['[{"Plan": {"Plan Rows": 0}}]']], tag: 'EXPLAIN' },
]

interface Asked {
  readonly requests: number
  readonly minutes: number | undefined
  readonly seed: number
  /** Of all requests, those that Postgres runs. */
  readonly through: number
}

class Storm {
  readonly tally = new Tally()
  /** Of what Postgres ran, by status and code. */
  readonly answers = new Map<string, number>()
  asked = 0
  through = 0
  statements = 0
  slowestMs = 0
  readonly #admin: pg.Client
  readonly #pure: Rest
  readonly #real: Rest

  constructor(admin: pg.Client, pool: Pool, restOver: (pool: Pick<Pool, 'batch' | 'transaction'>) => Rest) {
    this.#admin = admin
    const looked: Pool['batch'] = async (statements) => {
      this.#look(statements)
      return nothingRan.slice(0, statements.length)
    }
    const transaction: Pool['transaction'] = (work, options) => pool.transaction(work, options)
    this.#pure = restOver({ transaction, batch: looked })
    this.#real = restOver({
      transaction,
      batch: (statements, options) => {
        this.#look(statements)
        return pool.batch(statements, options)
      },
    })
  }

  #look(statements: Parameters<Pool['batch']>[0]): void {
    for (const statement of statements) {
      this.statements++
      const fault = statementFault(statement)
      if (fault !== undefined) this.tally.fail(fault)
    }
  }

  async #ask({ role, http }: ChaosRequest, way: keyof typeof boundMs): Promise<void> {
    this.asked++
    const startedAt = performance.now()
    const fault = await (way === 'pure' ? this.#pure : this.#real).handle(http, { caller: callers[role] }).then(
      (answer) => {
        if (way === 'through') {
          const code = /error=(.*)/.exec(String(answer.headers['proxy-status']))?.[1]
          const kind = code === undefined ? `${answer.status}` : `${answer.status} ${code}`
          this.answers.set(kind, (this.answers.get(kind) ?? 0) + 1)
        }
        const found = answerFault(role, answer)
        return found === undefined ? undefined : `${found}\n    ${answer.status} ${String(answer.body).slice(0, 500)}`
      },
      (error: unknown) => `it raised ${String((error as Error).stack ?? error)}`,
    )
    const ms = performance.now() - startedAt
    this.slowestMs = Math.max(this.slowestMs, ms)
    const late = ms > boundMs[way] ? `it took ${Math.round(ms)} ms` : undefined
    for (const what of [fault, late]) {
      if (what !== undefined) this.tally.fail(`${role}: ${JSON.stringify({ ...http, body: http.body?.toString() })}\n  ${what}`)
    }
  }

  async #run(requests: readonly ChaosRequest[]): Promise<void> {
    const waiting = [...requests]
    const caller = async (): Promise<void> => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await this.#ask(next, 'through')
    }
    await Promise.all(Array.from({ length: atOnce }, caller))
  }

  async #digest(): Promise<string> {
    return (await this.#admin.query<{ digest: string }>(restDigest)).rows[0]!.digest
  }

  /** Reads first, after which all must be as it was; then what users write, and at last the service, which may give rows away. */
  async #throughPostgres(requests: readonly ChaosRequest[]): Promise<void> {
    this.through += requests.length
    const reads = requests.filter(({ http }) => /^(GET|HEAD)$/.test(http.method))
    const writes = requests.filter(({ http }) => !/^(GET|HEAD)$/.test(http.method))
    const before = await this.#digest()
    await this.#run(reads)
    if ((await this.#digest()) !== before) this.tally.fail(`${reads.length} reads have changed something`)
    await this.#run(writes.filter(({ role }) => role !== 'service'))
    await this.#run(writes.filter(({ role }) => role === 'service'))
    if (writes.length > 0) await this.#admin.query(restRows)
  }

  async batch(dice: Dice, size: number, share: number): Promise<void> {
    const requests = requestsOf(dice, size)
    const run: ChaosRequest[] = []
    for (const request of requests) {
      if (dice() < share) run.push(request)
      else await this.#ask(request, 'pure')
    }
    await setImmediate()
    if (run.length > 0) await this.#throughPostgres(run)
  }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** In MiB, of what is in use after a collection. */
const memory = (): { readonly rss: number; readonly heap: number } => {
  collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss: rss / 2 ** 20, heap: (heapUsed + external) / 2 ** 20 }
}

/** What may be kept: statements' names, and the texts that were looked at. */
const maxGrowthMiB = 64

const storm = async (under: Storm, { requests, minutes, seed, through }: Asked): Promise<void> => {
  const dice = diceOf(seed)
  const deadline = minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + minutes * 60_000
  let warm: ReturnType<typeof memory> | undefined
  let told = 0
  while (under.asked < requests && performance.now() < deadline && under.tally.failures.length < maxFaults) {
    await under.batch(dice, Math.min(batchSize, requests - under.asked), through)
    if (!warm && under.asked >= Math.min(requests / 5, 50_000)) warm = memory()
    if (under.asked - told < Math.min(requests / 20, 20_000)) continue
    told = under.asked
    tell(`${under.asked} requests, ${under.through} of them run by Postgres, ${under.statements} statements`)
  }
  const after = memory()
  tell(
    `memory in MiB: ${Math.round(warm?.heap ?? 0)} → ${Math.round(after.heap)} in use, ${Math.round(warm?.rss ?? 0)} → ${Math.round(after.rss)} resident`,
  )
  if (warm && after.heap - warm.heap > maxGrowthMiB) under.tally.fail(`memory grew from ${warm.heap} to ${after.heap} MiB`)
}

const openStorm = async (url: string, work: (storm: Storm) => Promise<void>): Promise<void> => {
  await bootstrappedTemplate.prepare(url)
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(restSchema)
  await admin.query(restRows)
  const pool = createNamedPool('rest', {
    url: testUrl(url, 'authenticator'),
    pools: { rest: { minConnections: 0, maxConnections: atOnce } },
  })
  const schemas = ['api', 'other']
  const extraSearchPath = ['public', 'extensions']
  const catalogue = openCatalogue({ pool, schemas, extraSearchPath, pollMs: 3_600_000, slowPollMs: 3_600_000 })
  try {
    await catalogue.ready()
    const settings = {
      ...{ schemas, extraSearchPath, maxRows: 1_000, maxBodyBytes: 1_000_000, aggregates: true, plans: true, root: true },
      ...{ transactionOverride: true, preRequest: undefined, appSettings: new Map<string, string>(), version: '0' },
    }
    const reasons = createLogger({ level: 'error' })
    await work(new Storm(admin, pool, (over) => createRest({ pool: over, catalogue, settings, log: reasons })))
  } finally {
    await catalogue.stop()
    await pool.stop()
    await admin.end()
  }
}

const run = async (asked: Asked, signal: AbortSignal): Promise<boolean> => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-chaos-rest-'))
  await chmod(folder, 0o755)
  const began = performance.now()
  const postgres = await startEmbeddedPostgres({ state: await openState(folder), disposable: true })
  let ended: Storm | undefined
  try {
    await openStorm(postgres.url, async (under) => {
      ended = under
      await interruptible(signal, storm(under, asked))
    })
  } finally {
    await postgres.stop()
    for (const path of [folder, outsideDir(folder)]) await rm(path, { recursive: true, force: true, maxRetries: 5 })
  }
  if (!ended) return false
  const { tally, answers, slowestMs } = ended
  for (const failure of tally.failures.slice(0, maxFaults)) console.log(failure)
  const kinds = [...answers].sort(([, a], [, b]) => b - a).map(([kind, n]) => `${kind} × ${n}`)
  console.log(`answers of those that Postgres ran: ${kinds.join(', ')} · slowest ${Math.round(slowestMs)} ms`)
  const seconds = Math.round((performance.now() - began) / 1000)
  const what = `${ended.asked} requests, ${ended.through} of them run by Postgres, ${ended.statements} statements in ${seconds} s, seed ${asked.seed}`
  console.log(`${tally.failures.length === 0 ? 'PASSED' : 'FAILED'}: ${what}`)
  return tally.failures.length === 0
}

const share = (text: unknown): number => {
  const value = text === undefined ? 0.1 : Number(text)
  if (value >= 0 && value <= 1) return value
  throw new UsageError(`--through is "${text}", and has to be a number from 0 to 1.`)
}

const usage = `npm run chaos:rest -- [options]
  --requests <n>     how many (default 1000000)
  --minutes <n>      at most (default: until all are asked)
  --through <share>  of them those that Postgres runs (default 0.1)
  --seed <n>         what the dice begin with (default 1)`

await main((signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { requests: option, minutes: option, through: option, seed: option })
  const { minutes } = values
  const wanted = {
    requests: count('requests', values['requests'], { default: 1_000_000, min: 1, max: 1e9 }),
    minutes: minutes === undefined ? undefined : count('minutes', minutes, { default: 1, min: 1, max: 10_000 }),
    seed: count('seed', values['seed'], { default: 1, min: 0, max: 2 ** 31 }),
    through: share(values['through']),
  }
  return run(wanted, signal)
})
