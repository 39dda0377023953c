/** The part of Vitest's JSON report that is read here. */
export interface VitestReport {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message?: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
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

/** Percent of lines covered in the files of one package; 100 where it has none. */
export const lineCoverage = (summary: CoverageSummary, folder: string): number => {
  const files = Object.entries(summary).filter(([path]) => path.startsWith(`${folder}/`))
  const total = files.reduce((sum, [, { lines }]) => sum + lines.total, 0)
  const covered = files.reduce((sum, [, { lines }]) => sum + lines.covered, 0)
  return total === 0 ? 100 : (covered / total) * 100
}
