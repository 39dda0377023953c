// `npm test`: tools, build, lint, docs, tests, in this order. The last line counts the tests. Arguments go to Vitest, and then only a part is run.
// `npm run coverage` does the same and counts lines as well, which takes half as long again, and holds them against the gates.
import { accessSync, chmodSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './repository.ts'
import { run } from './run.ts'
import {
  type Counts,
  type CoverageSummary,
  closingLine,
  countsOf,
  coverageGates,
  lineCoverage,
  secondTries,
  skippedTests,
  type VitestReport,
} from './test-report.ts'

const bin = (name: string): string => join(root, 'node_modules/.bin', name)

/** One after the other; those of one row side by side. */
const steps: readonly (readonly (readonly [string, string, readonly string[]])[])[] = [
  [['tools', bin('jiti'), ['scripts/tools.ts']]],
  [
    ['build', bin('tsc'), ['-b']],
    ['dashboard', bin('jiti'), ['scripts/dashboard.ts']],
  ],
  [
    // Biome colours what it writes for a pipeline, too, letter by letter.
    ['lint', bin('biome'), ['ci', ...(process.stdout.isTTY ? [] : ['--colors=off']), '.']],
    ['docs', bin('jiti'), ['scripts/docs.ts', '--check']],
  ],
]

const readJson = <T>(path: string): T | undefined =>
  existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : undefined

const folders = (name: string): readonly string[] => readdirSync(join(root, name))

const failedGates = (summary: CoverageSummary): readonly string[] =>
  coverageGates(folders('packages'), folders('apps')).flatMap((gate) => {
    const percent = lineCoverage(summary, root, gate)
    console.log(`coverage: ${gate.name} ${percent.toFixed(1)} % of lines (at least ${gate.percent})`)
    return percent < gate.percent ? [gate.name] : []
  })

const inMemory = '/dev/shm'
const neededBytes = 6 * 2 ** 30

const hasRoom = (): boolean => {
  try {
    accessSync(inMemory, constants.W_OK)
    const { bavail, bsize } = statfsSync(inMemory)
    return bavail * bsize >= neededBytes
  } catch {
    return false
  }
}

/** Thousands of databases are made and dropped. In memory that takes less than a quarter of the processors' time; TMPDIR says otherwise. */
const inTemporaryFolder = async <T>(work: () => Promise<T>): Promise<T> => {
  if (process.platform !== 'linux' || process.env['TMPDIR'] !== undefined || !hasRoom()) return work()
  const folder = mkdtempSync(join(inMemory, 'tidemark-tests-'))
  // As root the embedded Postgres runs as another user, who has to find its way through the folder.
  chmodSync(folder, 0o755)
  console.log(`temporary files of the tests are kept in memory, in ${folder} (TMPDIR changes that)`)
  process.env['TMPDIR'] = folder
  try {
    return await work()
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

const coverageFlag = '--coverage'

const runTests = async (args: readonly string[]): Promise<Counts> => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-report-'))
  const file = join(folder, 'report.json')
  const filters = args.filter((arg) => arg !== coverageFlag)
  const isCounted = args.includes(coverageFlag)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const coverage = isCounted ? [coverageFlag, `--coverage.reportsDirectory=${join(folder, 'coverage')}`] : []
  try {
    const exit = await run(bin('vitest'), ['run', ...reporters, ...coverage, ...filters])
    const report = readJson<VitestReport>(file)
    if (report === undefined) return { passed: 0, failed: 1, skipped: 0 }
    const counts = countsOf(report)
    for (const name of skippedTests(report)) console.log(`skipped: ${name}`)
    for (const story of secondTries(report)) console.log(`passed at the second try, to be mended: ${story}`)
    const summary = readJson<CoverageSummary>(join(folder, 'coverage/coverage-summary.json'))
    const below = !isCounted ? [] : summary === undefined ? ['(no report)'] : failedGates(summary)
    const others = below.length + (exit !== 0 && counts.failed === 0 ? 1 : 0)
    return { ...counts, failed: counts.failed + others }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const firstFailingStep = async (): Promise<string | undefined> => {
  for (const row of steps) {
    console.log(`\n> ${row.map(([name]) => name).join(', ')}`)
    const codes = await Promise.all(row.map(([, command, args]) => run(command, args)))
    const failing = row[codes.findIndex((code) => code !== 0)]
    if (failing) return failing[0]
  }
  return undefined
}

const failing = await firstFailingStep()
if (failing !== undefined) console.error(`\nThe step "${failing}" failed; the tests did not run.`)
else console.log('\n> tests')
const none = { passed: 0, failed: 1, skipped: 0 }
const counts = failing === undefined ? await inTemporaryFolder(() => runTests(process.argv.slice(2))) : none
console.log(`\n${closingLine(counts)}`)
process.exitCode = counts.failed > 0 ? 1 : 0
