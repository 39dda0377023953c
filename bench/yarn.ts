// `npm run bench:yarn`: how soon the chatbot answers while fifty talk to it, and how much of it is code of the database. See README.md.
// @holds R136
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { supportiveYarn } from '../apps/supportive-yarn/dist/supportive-yarn.js'
import { appSource, platformSource } from '../packages/tidemark/dist/schema/migration-files.js'
import { createMigrator } from '../packages/tidemark/dist/schema/migrator.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { openBenchPostgres } from './measuring/bench-postgres.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable } from './measuring/report.ts'
import { percentile, ratios } from './measuring/statistics.ts'

const usage = `npm run bench:yarn -- [options]
  --rounds <n>    rounds that count (default 5)
  --sessions <n>  how many talk at a time (default 50)
  --yarns <n>     how many yarns each of them has in a round (default 4)`

const apps = new URL('../apps/supportive-yarn/', import.meta.url)

/** One yarn, from the first word to the summary. */
const said = ['hey there', 'my nan and my cousin', 'I am good at footy', 'school has been hard', 'finish year ten'] as const

const startApp = async (databaseUrl: string): Promise<{ readonly url: string; stop(): Promise<void> }> => {
  const env = {
    PATH: process.env['PATH'] ?? '',
    ...{
      PORT: '0',
      NODE_ENV: 'production',
      CHAT_PER_MINUTE: '10000000',
      DATABASE_PROVIDER: 'postgres',
      DATABASE_URL: databaseUrl,
    },
  }
  const main = fileURLToPath(new URL('dist/main.js', apps))
  const child: ChildProcess = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout! }), 'line'), ended])) as [unknown]
  if (typeof line !== 'string') throw new Error('the app ended before it said where it listens')
  return { url: (JSON.parse(line) as { readonly url: string }).url, stop }
}

interface Answer {
  readonly session_id: string
  readonly state: string | null
}

interface Talked {
  /** How long each answer took, in milliseconds. */
  readonly times: readonly number[]
  /** Answered kindly and outside of the steps, since the store took longer than its two seconds (C52). */
  readonly degraded: number
}

const talk = async (url: string, signal: AbortSignal): Promise<Talked> => {
  const times: number[] = []
  let degraded = 0
  let session: string | undefined
  for (const message of said) {
    const body = JSON.stringify({ message, ...(session !== undefined && { session_id: session }) })
    const startedAt = performance.now()
    const response = await fetch(`${url}/chat`, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal })
    const answer = (await response.json()) as Answer
    times.push(performance.now() - startedAt)
    if (response.status !== 200) throw new Error(`"${message}" was answered with ${response.status}`)
    if (answer.state === null) degraded++
    session = answer.session_id
  }
  return { times, degraded }
}

/** So many at a time, each of them one yarn after the other. */
const talkAll = async (
  url: string,
  { sessions, yarns }: { readonly sessions: number; readonly yarns: number },
  signal: AbortSignal,
): Promise<{ readonly p95: number; readonly degraded: number }> => {
  const talked: Talked[] = []
  const one = async (): Promise<void> => {
    for (let n = 0; n < yarns; n++) talked.push(await talk(url, signal))
  }
  await Promise.all(Array.from({ length: sessions }, one))
  const times = talked.flatMap((each) => each.times).sort((a, b) => a - b)
  return { p95: percentile(times, 0.95), degraded: talked.reduce((sum, each) => sum + each.degraded, 0) }
}

/** Without comments and empty lines. */
const codeLines = (source: string): number => source.split('\n').filter((line) => !/^\s*(\/\/|\/?\*|$)/.test(line)).length

/** As documented of what there was: 90 lines for connections, 371 for what is read and written. */
const before = { connections: 90, repository: 371 } as const

const readCode = async (): Promise<{ readonly connections: number; readonly repository: number }> => {
  const text = await readFile(new URL('src/main.ts', apps), 'utf8')
  const opening = /^const openYarnStore = [\s\S]*?^}$/m.exec(text)?.[0]
  if (opening === undefined) throw new Error('main.ts opens its store elsewhere by now')
  const files = ['repository', 'statements', 'save-turn'].map((name) => readFile(new URL(`src/${name}.ts`, apps), 'utf8'))
  return {
    connections: codeLines(opening),
    repository: (await Promise.all(files)).reduce((sum, file) => sum + codeLines(file), 0),
  }
}

await main(async (signal) => {
  const names = ['rounds', 'sessions', 'yarns'] as const
  const given = parseOptions(usage, Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])))
  const rounds = count('rounds', given['rounds'], { default: 5, min: 1, max: 100 })
  const sessions = count('sessions', given['sessions'], { default: 50, min: 2, max: 1000 })
  const yarns = count('yarns', given['yarns'], { default: 4, min: 1, max: 1000 })
  const postgres = await openBenchPostgres()
  try {
    await bootstrappedTemplate.prepare(postgres.url)
    const connect = connectTo(testUrl(postgres.url, 'migrator'))
    await createMigrator({ connect, sources: [platformSource, appSource(supportiveYarn.name, supportiveYarn.migrations)] }).up()
    console.log(`${postgres.description} · Node ${process.versions.node} · ${availableParallelism()} cores · ${loadText()}`)
    const app = await startApp(testUrl(postgres.url, 'app'))
    const [one, many, without]: [number[], number[], number[]] = [[], [], []]
    try {
      // The first is for code to be compiled and connections to be opened.
      for (let round = 0; round <= rounds; round++) {
        const alone = await talkAll(app.url, { sessions: 1, yarns: yarns * 5 }, signal)
        const together = await talkAll(app.url, { sessions, yarns }, signal)
        if (round > 0) {
          one.push(alone.p95)
          many.push(together.p95)
          without.push(alone.degraded + together.degraded)
        }
        const label = round === 0 ? '(warming up)' : round
        console.log(`round ${label}: ${alone.p95.toFixed(1)} ms, ${together.p95.toFixed(1)} ms · ${loadText()}`)
      }
    } finally {
      await app.stop()
    }
    const code = await readCode()
    const p95: Figure = { name: 'yarn-answer-p95-ms', values: many, unit: `ms, 95 of 100 answers, ${sessions} at a time` }
    const alone: Figure = { name: 'yarn-answer-alone-p95-ms', values: one, unit: 'ms, 95 of 100 answers, one at a time' }
    const share = (name: keyof typeof before): Measure => ({
      name: `yarn-${name}-lines`,
      baseline: `documented-${before[name]}`,
      values: [code[name] / before[name]],
    })
    const degraded: Measure = { name: 'yarn-answers-without-the-store', values: without }
    const verdict = judge([
      { measure: p95, what: `ms until the answer while ${sessions} talk, 95 of 100, at most 500`, limit: 500 },
      { measure: degraded, what: 'answers without the store, none', limit: 0 },
    ])
    const fifty: Measure = { name: 'yarn-answer-p95', baseline: 'one-at-a-time', values: ratios(many, one) }
    const closing = [fifty, p95, alone, degraded, share('connections'), share('repository')]
    console.log(['', summaryTable([alone, p95]), '', ...verdict.lines, '', ...closing.map(closingLine)].join('\n'))
    return verdict.met
  } finally {
    await postgres.stop()
  }
})
