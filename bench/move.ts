// `npm run bench:move`: copies a generated file with Tidemark and with others, in rounds, into one Postgres. See README.md.
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { count, main, parseOptions, UsageError } from '../scripts/options.ts'
import { type BenchPostgres, openBenchPostgres } from './measuring/bench-postgres.ts'
import { loadText, seconds } from './measuring/report.ts'
import { findProgram } from './measuring/run-process.ts'
import type { Arena, Contender, Timing } from './move/contender.ts'
import { defaultRows, generate, rowsOption } from './move/generate.ts'
import { contentOf, countProblems, typeProblems } from './move/inspect-copy.ts'
import { moveReport } from './move/move-report.ts'
import { createPgloader } from './move/pgloader.ts'
import { createRawPipe } from './move/raw-pipe.ts'
import { createTidemark } from './move/tidemark.ts'

const usage = `npm run bench:move -- [options]
  --rows <n>          rows of the generated file, all tables together (default ${defaultRows})
  --rounds <n>        how often everyone copies it (default 3)
  --verify            also time \`move verify\` after each copy
  --without <names>   leave out raw-pipe, pgloader, or both
BENCH_DATABASE_URL names a Postgres (as a role that may create databases and roles); without it an embedded one is started.`

interface MoveOptions {
  readonly rows: number
  readonly rounds: number
  readonly verify: boolean
  readonly without: readonly string[]
}

const leavable = ['raw-pipe', 'pgloader']

const withoutNames = (text: unknown): readonly string[] => {
  const names = typeof text === 'string' ? text.split(',') : []
  const unknown = names.find((name) => !leavable.includes(name))
  if (unknown === undefined) return names
  throw new UsageError(`--without names "${unknown}", and may name ${leavable.join(' and ')}.`)
}

const readOptions = (): MoveOptions => {
  const { rows, rounds, verify, without } = parseOptions(usage, {
    rows: { type: 'string' },
    rounds: { type: 'string' },
    verify: { type: 'boolean' },
    without: { type: 'string' },
  })
  return {
    rows: count('rows', rows, rowsOption),
    rounds: count('rounds', rounds, { default: 3, min: 1, max: 100 }),
    verify: verify === true,
    without: withoutNames(without),
  }
}

const found = (name: string, contender: string): string | undefined => {
  const path = findProgram(name)
  if (path === undefined) console.log(`There is no ${name} on PATH, so ${contender} is left out.`)
  return path
}

const baselines = (arena: Arena, { without }: MoveOptions): readonly Contender[] => {
  const contenders: Contender[] = []
  if (!without.includes('raw-pipe')) {
    const [sqlite3, psql] = [found('sqlite3', 'the raw pipe'), found('psql', 'the raw pipe')]
    if (sqlite3 && psql) contenders.push(createRawPipe(arena, { sqlite3, psql }))
  }
  if (!without.includes('pgloader')) {
    const pgloader = found('pgloader', 'it')
    if (pgloader) contenders.push(createPgloader(arena, pgloader))
  }
  return contenders
}

/** Everyone begins a round once before anyone begins one twice, so that no place in the order is always the same one's. */
const rotated = <T>(all: readonly T[], by: number): readonly T[] => [
  ...all.slice(by % all.length),
  ...all.slice(0, by % all.length),
]

const describe = ({ totalMs, copyMs, beforeMs, afterMs, verifyMs, memory }: Timing): string =>
  [
    ...(beforeMs === undefined ? [] : [`before ${seconds(beforeMs)}`]),
    ...(copyMs === undefined ? [] : [`rows ${seconds(copyMs)}`]),
    ...(afterMs === undefined ? [] : [`after ${seconds(afterMs)}`]),
    `total ${seconds(totalMs)}`,
    ...(verifyMs === undefined ? [] : [`verify ${seconds(verifyMs)}`]),
    ...(memory ? [`${Math.round(memory.treeBytes / 1024 / 1024)} MiB`] : []),
  ].join(', ')

/** Raises where an exact contender has made something else than the file says; pgloader's losses are only told. */
class Rounds {
  readonly timings = new Map<string, Timing[]>()
  readonly #postgres: BenchPostgres
  readonly #rows: number
  #content: string | undefined

  constructor(postgres: BenchPostgres, rows: number) {
    this.#postgres = postgres
    this.#rows = rows
  }

  async run(contender: Contender, round: number): Promise<void> {
    const { client, settle } = this.#postgres
    const schema = `bench_${contender.name.replaceAll('-', '_')}_${round}`
    await settle()
    try {
      const timing = await contender.copy(schema)
      await this.#inspect(contender, schema, round)
      this.timings.set(contender.name, [...(this.timings.get(contender.name) ?? []), timing])
      console.log(`  ${contender.name.padEnd(10)} ${describe(timing)} · ${loadText()}`)
    } finally {
      await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
    }
  }

  async #inspect({ name, exact }: Contender, schema: string, round: number): Promise<void> {
    const { client } = this.#postgres
    const problems = [...(await countProblems(client, schema, this.#rows))]
    if (exact && round === 1) problems.push(...(await typeProblems(client, schema)))
    if (problems.length > 0) throw new Error(`${name} has made something else of the file:\n  ${problems.join('\n  ')}`)
    if (!exact || round > 1) return
    const content = await contentOf(client, schema)
    this.#content ??= content
    if (content !== this.#content)
      throw new Error(`${name} and the raw pipe hold different values:\n${content}\n${this.#content}`)
  }
}

const measure = async (arena: Arena, postgres: BenchPostgres, options: MoveOptions): Promise<boolean> => {
  const tidemark = createTidemark(arena, options.verify)
  console.log(`Roles and platform tables made in ${seconds(await tidemark.prepare())}, once for the database.`)
  let contenders: readonly Contender[] = [...baselines(arena, options), tidemark]
  const rounds = new Rounds(postgres, options.rows)
  for (let round = 1; round <= options.rounds; round++) {
    console.log(`round ${round} of ${options.rounds}`)
    for (const contender of rotated(contenders, round - 1)) {
      try {
        await rounds.run(contender, round)
      } catch (error) {
        if (contender.exact || arena.signal.aborted) throw error
        console.log(`  ${contender.name} is left out from here on, it is no baseline: ${(error as Error).message}`)
        contenders = contenders.filter((one) => one !== contender)
        rounds.timings.delete(contender.name)
      }
    }
  }
  const { met, text } = moveReport({
    rows: options.rows,
    tidemark: rounds.timings.get('tidemark') ?? [],
    rawPipe: rounds.timings.get('raw-pipe'),
    pgloader: rounds.timings.get('pgloader'),
  })
  console.log(`\n${text}`)
  return met
}

await main(async (signal) => {
  const options = readOptions()
  const file = generate({ rows: options.rows, log: (message) => console.log(message) })
  const { size } = await stat(file)
  const postgres = await openBenchPostgres()
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
  try {
    console.log(`${options.rows.toLocaleString('en')} rows, ${(size / 1e6).toFixed(0)} MB · ${postgres.description}`)
    console.log(`Node ${process.versions.node} · ${availableParallelism()} cores · ${loadText()}`)
    const { url, client } = postgres
    return await measure({ file, url, client, folder, signal }, postgres, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
    await postgres.stop()
  }
})
