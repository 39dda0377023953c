// `npm run bench:rest`: /rest/v1 beside bare Fastify routes that run the same statements through the same pool. See README.md.
import { bootstrappedTemplate } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { count, main, parseOptions, UsageError } from '../scripts/options.ts'
import { openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable, type Target } from './measuring/report.ts'
import { startServing } from './measuring/start-serving.ts'
import { percentile, ratios } from './measuring/statistics.ts'
import { Caller, runLoad } from './rest/callers.ts'
import { benchSchema, type Case, type CaseName, caseNames, cases } from './rest/cases.ts'
import type { ServingAddresses } from './rest/serving.ts'
import { inFreshProject } from './start/fresh-project.ts'
import { readStartCommand } from './start/start-command.ts'
import { idleMemory, timeStart } from './start/start-server.ts'

const contenders = ['rest', 'bare-transaction', 'bare-batch', 'bare-statement'] as const
type Contender = (typeof contenders)[number]
const callerCounts = [1, 32] as const

interface Turn {
  readonly perSecond: number
  readonly cpuUs: number
  readonly p50Ms: number
}

/** A whole request, as supabase-js sends it, or the least that the bare route needs. */
const requestText = (contender: Contender, name: CaseName, { anonKey, token }: ServingAddresses, n: number): string => {
  const one: Case = cases[name]
  const given = one.given(n)
  const body = one.body?.(given) ?? ''
  const url =
    contender === 'rest'
      ? `/rest/v1${one.url(given)}`
      : `/${contender.slice('bare-'.length)}/${name}?given=${encodeURIComponent(given)}`
  const own =
    contender === 'rest'
      ? [`apikey: ${anonKey}`, `authorization: Bearer ${token}`, 'accept: application/json', 'x-client-info: bench']
      : []
  const sent = body === '' ? [] : ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`]
  const preferred = contender === 'rest' && body !== '' ? ['prefer: return=representation'] : []
  return [`${one.method} ${url} HTTP/1.1`, 'host: 127.0.0.1', ...own, ...sent, ...preferred, '', body].join('\r\n')
}

const portOf = (contender: Contender, { restPort, barePort }: ServingAddresses): number =>
  contender === 'rest' ? restPort : barePort
const statusOf = (name: CaseName): number => (cases[name].method === 'POST' ? 201 : 200)

const cpuMicros = async ({ barePort }: ServingAddresses): Promise<number> => {
  const caller = await Caller.open(barePort)
  const { user, system } = JSON.parse((await caller.ask('GET /cpu HTTP/1.1\r\nhost: a\r\n\r\n', 200)).toString())
  caller.close()
  return user + system
}

/** All must answer alike: speed counts only where the answer is right. */
const checkAnswers = async (addresses: ServingAddresses): Promise<void> => {
  for (const name of caseNames) {
    const answers = new Set<string>()
    for (const contender of contenders) {
      const caller = await Caller.open(portOf(contender, addresses))
      const body = await caller.ask(requestText(contender, name, addresses, 7), statusOf(name))
      caller.close()
      answers.add(body.toString().replace(/"id":\d+,"text"/, '"id":1,"text"'))
    }
    const [first = '', ...others] = answers
    if (others.length > 0 || first.length < 10) throw new Error(`the answers to ${name} differ:\n${[...answers].join('\n')}`)
  }
}

interface Options {
  readonly rounds: number
  readonly ms: number
  readonly only: readonly CaseName[]
  readonly signal: AbortSignal
}

const keyOf = (name: CaseName, callers: number, contender: Contender): string => `${name} ${callers} ${contender}`

/** Rounds before the first that counts: until then code is being compiled, and statements are being prepared. */
const warmUps = 2

const measure = async (addresses: ServingAddresses, { rounds, ms, only, signal }: Options): Promise<Map<string, Turn[]>> => {
  const turns = new Map<string, Turn[]>()
  for (let round = 0; round < warmUps + rounds; round++) {
    for (const name of only) {
      for (const callers of callerCounts) {
        for (let i = 0; i < contenders.length; i++) {
          signal.throwIfAborted()
          const contender = contenders[(i + round) % contenders.length]!
          const request = (n: number): string => requestText(contender, name, addresses, n)
          const before = await cpuMicros(addresses)
          const load = await runLoad({ port: portOf(contender, addresses), callers, ms, request, status: statusOf(name) })
          const cpuUs = ((await cpuMicros(addresses)) - before) / load.requests
          const key = keyOf(name, callers, contender)
          const turn = { perSecond: load.perSecond, cpuUs, p50Ms: percentile(load.latencies, 0.5) }
          if (round >= warmUps) turns.set(key, [...(turns.get(key) ?? []), turn])
        }
      }
    }
    console.log(`round ${round < warmUps ? '(warming up)' : round - warmUps + 1} · ${loadText()}`)
  }
  return turns
}

interface Report {
  readonly figures: readonly Figure[]
  readonly measures: readonly Measure[]
  readonly targets: readonly Target[]
}

const reportCase = (turns: ReadonlyMap<string, readonly Turn[]>, name: CaseName, callers: number): Report => {
  const of = (contender: Contender): readonly Turn[] => turns.get(keyOf(name, callers, contender))!
  const pick = (contender: Contender, field: keyof Turn): readonly number[] => of(contender).map((turn) => turn[field])
  const label = `rest-${name}-${callers}`
  const ratioTo = (baseline: Contender): Measure => ({
    name: label,
    baseline,
    values: ratios(pick('rest', 'perSecond'), pick(baseline, 'perSecond')),
  })
  const overheadTo = (baseline: Contender): Measure => ({
    name: `${label}-p50-ms-over-${baseline}`,
    values: of('rest').map(({ p50Ms }, round) => p50Ms - of(baseline)[round]!.p50Ms),
  })
  const figures = contenders.flatMap((contender): Figure[] => [
    { name: `${name}, ${callers} callers, ${contender}`, values: pick(contender, 'perSecond'), unit: 'a second' },
    { name: '', values: pick(contender, 'cpuUs'), unit: 'µs of the processor' },
    { name: '', values: pick(contender, 'p50Ms'), unit: 'ms p50' },
  ])
  const ratio = ratioTo('bare-transaction')
  const overhead = overheadTo('bare-transaction')
  const alone = callers === 1
  return {
    figures,
    measures: [
      ratio,
      ratioTo('bare-batch'),
      ratioTo('bare-statement'),
      ...(alone ? [overhead, overheadTo('bare-batch'), overheadTo('bare-statement')] : []),
    ],
    targets: [
      { measure: ratio, what: `${label}: at least 0.6 of the same transaction on a bare route`, limit: 0.6, bound: 'least' },
      ...(alone ? [{ measure: overhead, what: `${label}: at most 1 ms more at the median`, limit: 1 }] : []),
    ],
  }
}

const mebibyte = 2 ** 20

/** The whole server on what a first start left behind: when it answers, and what it takes when nobody asks. */
const reportServer = (signal: AbortSignal): Promise<Report> =>
  inFreshProject(async (folder) => {
    const { args } = readStartCommand()
    await timeStart(args, folder, signal)
    const readyMs: number[] = []
    const bytes: number[] = []
    for (let i = 0; i < 3; i++) {
      readyMs.push((await timeStart(args, folder, signal)).healthMs)
      const resident = await idleMemory(args, folder, signal)
      if (resident !== undefined) bytes.push(resident / mebibyte)
    }
    const memory: Measure = { name: 'rest-server-idle-rss-mib', values: bytes }
    const ready: Measure = { name: 'rest-server-ready-seconds', values: readyMs.map((ms) => ms / 1000) }
    return {
      figures: [],
      measures: [ready, ...(bytes.length > 0 ? [memory] : [])],
      targets: [
        {
          measure: bytes.length > 0 ? memory : undefined,
          what: 'the idle server without Postgres takes at most 150 MiB',
          limit: 150,
        },
        { measure: ready, what: 'ready on existing data within 1.5 s', limit: 1.5 },
      ],
    }
  })

const usage = `npm run bench:rest -- [options]
  --rounds <n>     rounds in which all take turns (default 5)
  --ms <n>         length of one turn (default 600)
  --only <a,b,…>   of ${caseNames.join(', ')} and server`

const readOptions = () => {
  const option = { type: 'string' } as const
  const given = parseOptions(usage, { rounds: option, ms: option, only: option })
  const known = [...caseNames, 'server'] as const
  const only = given['only'] === undefined ? known : String(given['only']).split(',')
  const unknown = only.find((name) => !known.includes(name as (typeof known)[number]))
  if (unknown !== undefined) throw new UsageError(`--only names "${unknown}", which is none of the parts\n\n${usage}`)
  return {
    rounds: count('rounds', given['rounds'], { default: 5, min: 1, max: 100 }),
    ms: count('ms', given['ms'], { default: 600, min: 1, max: 60_000 }),
    only: caseNames.filter((name) => only.includes(name)),
    server: only.includes('server'),
  }
}

const reportCases = async (options: Options): Promise<readonly Report[]> => {
  if (options.only.length === 0) return []
  const postgres = await openBenchPostgres()
  try {
    console.log(`${postgres.description} · Node ${process.versions.node} · ${loadText()}`)
    await bootstrappedTemplate.prepare(postgres.url)
    await postgres.client.query(benchSchema)
    const serving = await startServing<ServingAddresses>('rest/serving.ts', { REST_BENCH: postgres.url })
    try {
      await checkAnswers(serving.addresses)
      const turns = await measure(serving.addresses, options)
      return options.only.flatMap((name) => callerCounts.map((callers) => reportCase(turns, name, callers)))
    } finally {
      await serving.stop()
    }
  } finally {
    await postgres.stop()
  }
}

await main(async (signal) => {
  const { server, ...options } = readOptions()
  const reports = [...(await reportCases({ ...options, signal })), ...(server ? [await reportServer(signal)] : [])]
  const verdict = judge(reports.flatMap(({ targets }) => targets))
  const figures = reports.flatMap((report) => report.figures)
  const table = figures.length > 0 ? ['', summaryTable(figures)] : []
  console.log([...table, '', ...verdict.lines, '', ...reports.flatMap(({ measures }) => measures).map(closingLine)].join('\n'))
  return verdict.met
})
