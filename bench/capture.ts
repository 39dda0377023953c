// `npm run bench:capture`: what noting every change costs the application that writes to the file. See README.md.
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCaptureDatabase } from '../packages/tidemark/dist/sqlite/capture/capture-database.js'
import { installCapture } from '../packages/tidemark/dist/sqlite/capture/install.js'
import { logHead } from '../packages/tidemark/dist/sqlite/capture/log.js'
import { count, main, parseOptions } from '../scripts/options.ts'
import { closingLine, type Figure, judge, loadText, type Measure, summaryTable } from './measuring/report.ts'
import { ratios, summarize } from './measuring/statistics.ts'
import { AppFile, rowsThatDiffer, type WriteKind, writeKinds } from './move-live/write-kinds.ts'

const usage = `npm run bench:capture -- [options]
  --rows <n>     rows that stand in each file (default 50000)
  --writes <n>   writes of each kind and round, to each file (default 4000)
  --rounds <n>   rounds (default 5)`

interface CaptureOptions {
  readonly rows: number
  readonly writes: number
  readonly rounds: number
}

const readOptions = (): CaptureOptions => {
  const text = { type: 'string' } as const
  const given = parseOptions(usage, { rows: text, writes: text, rounds: text })
  return {
    rows: count('rows', given['rows'], { default: 50_000, min: 100, max: 10_000_000 }),
    writes: count('writes', given['writes'], { default: 4000, min: 100, max: 1_000_000 }),
    rounds: count('rounds', given['rounds'], { default: 5, min: 1, max: 100 }),
  }
}

const seed = 20_260_101
const rowsPerTransaction = 100
/** Writes before it is the other file's turn: what disturbs the machine for a moment disturbs both. */
const writesPerTurn = 200

/** Two files that are the same but for the capture. */
interface Pair {
  readonly isUnique: boolean
  readonly plain: AppFile
  readonly captured: AppFile
  /** Raises where the files do not hold the same, or the log does not name as many changes as there were writes. */
  check(): Promise<void>
}

const openPair = async (folder: string, isUnique: boolean, rows: number): Promise<Pair> => {
  const paths = ['plain', 'captured'].map((name) => join(folder, `${name}-${isUnique}.db`)) as [string, string]
  const [plain, captured] = paths.map((path) => new AppFile({ path, rows, isUnique, seed })) as [AppFile, AppFile]
  const before = captured.writes
  const file = await openCaptureDatabase(paths[1], { busyTimeoutMs: 5000 })
  const tables = [{ id: 1, name: 'orders', key: { kind: 'columns', columns: ['id'] } }] as const
  await installCapture(file, { runId: 'bench', captureId: 'bench', epoch: 1n, tables })
  file.close()
  return {
    isUnique,
    plain,
    captured,
    check: async () => {
      for (const one of [plain, captured]) one.close()
      const differing = rowsThatDiffer(...paths)
      if (differing > 0) throw new Error(`the files differ in ${differing} rows`)
      const looked = await openCaptureDatabase(paths[1], { busyTimeoutMs: 5000 })
      const logged = Number(await looked.read(logHead))
      looked.close()
      if (logged < captured.writes - before)
        throw new Error(`${captured.writes - before} writes left ${logged} entries in the log`)
    },
  }
}

/** User and system time of this process, in microseconds. Nothing runs in it meanwhile but the writes, and SQLite's checkpoints within them. */
const cpuOf = (work: () => void): number => {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

interface Cost {
  readonly isUnique: boolean
  readonly kind: WriteKind
  readonly perTransaction: number
  /** Microseconds of processor time a write, by round. */
  readonly plain: number[]
  readonly captured: number[]
}

/** One round of one kind: both files in turns, and neither always first. */
const spend = ({ plain, captured }: Pair, { kind, perTransaction, ...cost }: Cost, writes: number): void => {
  let [without, withIt] = [0, 0]
  for (let done = 0, turn = 0; done < writes; done += writesPerTurn, turn++) {
    const some = Math.min(writesPerTurn, writes - done)
    for (const file of turn % 2 === 0 ? [plain, captured] : [captured, plain]) {
      const used = cpuOf(() => file.write(kind, some, perTransaction))
      if (file === plain) without += used
      else withIt += used
    }
  }
  cost.plain.push(without / writes)
  cost.captured.push(withIt / writes)
  for (const file of [plain, captured]) file.settle()
}

const measure = (pairs: readonly Pair[], { writes, rounds }: CaptureOptions, signal: AbortSignal): readonly Cost[] => {
  const costs = pairs.flatMap(({ isUnique }) =>
    [1, rowsPerTransaction].flatMap((perTransaction) =>
      writeKinds.map((kind): Cost => ({ isUnique, kind, perTransaction, plain: [], captured: [] })),
    ),
  )
  for (let round = 1; round <= rounds; round++) {
    for (const cost of costs) {
      signal.throwIfAborted()
      spend(pairs.find(({ isUnique }) => isUnique === cost.isUnique)!, cost, writes)
    }
    console.log(`round ${round} of ${rounds} · ${loadText()}`)
  }
  return costs
}

const nameOf = ({ isUnique, kind, perTransaction }: Cost): string =>
  `${kind}${isUnique ? ', unique index' : ''}${perTransaction === 1 ? '' : `, ${perTransaction} to a transaction`}`

const report = (costs: readonly Cost[]): boolean => {
  const figures = costs.map(
    (cost): Figure => ({
      name: nameOf(cost),
      values: ratios(cost.captured, cost.plain),
      unit: `times the ${summarize(cost.plain).median.toFixed(1)} µs of CPU a write without`,
    }),
  )
  const ratioOf = (name: string, isUnique: boolean, perTransaction: number, kind: WriteKind = 'mix'): Measure => {
    const { captured, plain } = costs.find(
      (cost) => cost.isUnique === isUnique && cost.perTransaction === perTransaction && cost.kind === kind,
    )!
    return { name, baseline: 'no-capture', values: ratios(captured, plain) }
  }
  const mix = ratioOf('capture-cpu', false, 1)
  const mixUnique = ratioOf('capture-cpu-unique', true, 1)
  const verdict = judge([
    { measure: mix, what: 'at most 1.35 times the CPU a write, without a secondary unique index', limit: 1.35 },
    { measure: mixUnique, what: 'at most 1.8 times the CPU a write, with one', limit: 1.8 },
  ])
  const closing: readonly Measure[] = [
    ratioOf('capture-cpu-in-transactions', false, rowsPerTransaction),
    ratioOf('capture-cpu-unique-in-transactions', true, rowsPerTransaction),
    ratioOf('capture-cpu-upsert', false, 1, 'upsert'),
    ratioOf('capture-cpu-replace', true, 1, 'replace'),
    mix,
    mixUnique,
  ]
  console.log(`\n${[summaryTable(figures), '', ...verdict.lines, '', ...closing.map(closingLine)].join('\n')}`)
  return verdict.met
}

await main(async (signal) => {
  const options = readOptions()
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-capture-'))
  try {
    console.log(`WAL, synchronous = NORMAL · Node ${process.versions.node} · ${availableParallelism()} cores · ${loadText()}`)
    const pairs = [await openPair(folder, false, options.rows), await openPair(folder, true, options.rows)]
    const costs = measure(pairs, options, signal)
    for (const pair of pairs) await pair.check()
    return report(costs)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
