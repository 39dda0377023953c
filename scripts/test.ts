// `npm test`: tools, build, lint, docs, tests with coverage, in this order. The last line counts the tests. Arguments go to Vitest, and
// then only a part is run, so that the gate on coverage stands aside.
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs'
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

/** Thousands of databases are made and dropped. In memory that takes less than a quarter of the processors' time; TMPDIR says otherwise. */
const temporaryFolder = (): string | undefined => {
  if (process.platform !== 'linux' || process.env['TMPDIR'] !== undefined) return undefined
  try {
    accessSync(inMemory, constants.W_OK)
    const { bavail, bsize } = statfsSync(inMemory)
    return bavail * bsize >= neededBytes ? inMemory : undefined
  } catch {
    return undefined
  }
}

const runTests = async (filters: readonly string[]): Promise<Counts> => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-report-'))
  const file = join(folder, 'report.json')
  const isWhole = filters.length === 0
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const coverage = isWhole ? ['--coverage', `--coverage.reportsDirectory=${join(folder, 'coverage')}`] : []
  try {
    const exit = await run(bin('vitest'), ['run', ...reporters, ...coverage, ...filters])
    const report = readJson<VitestReport>(file)
    if (report === undefined) return { passed: 0, failed: 1, skipped: 0 }
    const counts = countsOf(report)
    for (const name of skippedTests(report)) console.log(`skipped: ${name}`)
    const summary = isWhole ? readJson<CoverageSummary>(join(folder, 'coverage/coverage-summary.json')) : {}
    const below = summary === undefined ? ['(no report)'] : isWhole ? failedGates(summary) : []
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
const temporary = temporaryFolder()
if (temporary !== undefined) {
  console.log(`temporary files of the tests are kept in memory: ${temporary} (TMPDIR changes it)`)
  process.env['TMPDIR'] = temporary
}
const counts = failing === undefined ? await runTests(process.argv.slice(2)) : { passed: 0, failed: 1, skipped: 0 }
console.log(`\n${closingLine(counts)}`)
process.exitCode = counts.failed > 0 ? 1 : 0
