/** The part of Vitest's JSON report that is read here. */
export interface VitestReport {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message?: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly fullName: string
      /** Also of a test that passed, where it failed at first. */
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

/** The part of a coverage summary (json-summary) that is read here: files by absolute path. */
export type CoverageSummary = Readonly<Record<string, { readonly lines: { readonly total: number; readonly covered: number } }>>

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const isSkipped = (status: string): boolean => ['skipped', 'pending', 'todo', 'disabled'].includes(status)

/** Tests that did not run, by name. */
export const skippedTests = ({ testResults }: VitestReport): readonly string[] =>
  testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => isSkipped(status)).map(({ fullName }) => fullName),
  )

/** Tests that passed when they were tried again, with why they had failed and where. */
export const secondTries = ({ testResults }: VitestReport): readonly string[] =>
  testResults.flatMap(({ assertionResults }) =>
    assertionResults
      .filter(({ status, failureMessages = [] }) => status === 'passed' && failureMessages.length > 0)
      .map(({ fullName, failureMessages = [] }) => [fullName, ...failureMessages].join('\n')),
  )

/** A file that fails before or outside its tests counts as one failure, and so does a run that fails for no test's sake. */
export const countsOf = (report: VitestReport): Counts => {
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length
  const failed = report.numFailedTests + brokenFiles
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && !report.success ? 1 : failed,
    skipped: skippedTests(report).length,
  }
}

/** The line that every run ends with. */
export const closingLine = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`

/** How much of some files tests have to cover. */
export interface CoverageGate {
  readonly name: string
  readonly percent: number
  /** By its path from the root of the checkout. */
  covers(path: string): boolean
}

/** Percent of lines covered in the files of a gate; 100 where it has none. */
export const lineCoverage = (summary: CoverageSummary, root: string, { covers }: Pick<CoverageGate, 'covers'>): number => {
  const files = Object.entries(summary).filter(([path]) => path.startsWith(`${root}/`) && covers(path.slice(root.length + 1)))
  const total = files.reduce((sum, [, { lines }]) => sum + lines.total, 0)
  const covered = files.reduce((sum, [, { lines }]) => sum + lines.covered, 0)
  return total === 0 ? 100 : (covered / total) * 100
}

/** What asks the database in each application; chat and agents have a file for each of their tables. */
const repositories: readonly RegExp[] = [
  /^apps\/(re-engine|reanna-router)\/src\/repository\//,
  /^apps\/supportive-yarn\/src\/(repository|statements|save-turn)\.ts$/,
  /^apps\/chat\/src\/(sessions|messages)\.ts$/,
  /^apps\/agents\/src\/(instances|executions|queue|metrics|health|silence|spool)\.ts$/,
]

/** What runs only in a process of its own, which end-to-end tests start and nobody measures. */
const programs = /\/src\/(import\/)?(main|seed)\.ts$/

const isRepository = (path: string): boolean => repositories.some((form) => form.test(path))

/** The gates of packages and applications, by their folders' names. */
export const coverageGates = (packages: readonly string[], apps: readonly string[]): readonly CoverageGate[] => [
  ...packages.map((name) => ({
    name: `packages/${name}`,
    percent: 85,
    covers: (path: string) => path.startsWith(`packages/${name}/`),
  })),
  ...apps.flatMap((name) => {
    const isOfApp = (path: string): boolean => path.startsWith(`apps/${name}/`)
    return [
      { name: `apps/${name}, repository`, percent: 95, covers: (path: string) => isOfApp(path) && isRepository(path) },
      {
        name: `apps/${name}, services`,
        percent: 85,
        covers: (path: string) => isOfApp(path) && !isRepository(path) && !programs.test(path),
      },
    ]
  }),
]
