import { reasonOf } from '../errors.js'
import type { SqliteDatabase } from './sqlite.js'
import { quoteSqliteName } from './tokenize.js'

export interface IntegrityOptions {
  /** How many findings are listed at most. Default 20. */
  readonly maxFindings?: number
  /** No further table is begun after this time. Default 60 000. */
  readonly timeLimitMs?: number
}

export interface IntegrityReport {
  /** No damage was found in what was looked at. */
  readonly ok: boolean
  /** False where time or findings ran out before every table was looked at. */
  readonly complete: boolean
  readonly tablesChecked: number
  /** Broken pages and records. */
  readonly damage: readonly string[]
  /** Rows that break the file's own NOT NULL, CHECK or STRICT rules; their bytes are sound. */
  readonly violations: readonly string[]
}

const isViolation = (finding: string): boolean =>
  /^(?:NULL value in |CHECK constraint failed in |non-[A-Z]+ value in |NUMERIC value in |TEXT value in )/.test(finding)

const tableNames = (db: SqliteDatabase): string[] =>
  db.prepare<[], string>(`SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY rowid`).pluck().all()

const checkTable = (db: SqliteDatabase, table: string, maxFindings: number): string[] => {
  try {
    const findings = db
      .prepare<[], string>(`PRAGMA quick_check(${quoteSqliteName(table)})`)
      .pluck()
      .all()
    // Findings about pages come as many lines under one headline.
    const lines = findings.flatMap((finding) => finding.split('\n'))
    return lines.filter((line) => line !== 'ok' && !line.startsWith('*** in database')).slice(0, maxFindings)
  } catch (error) {
    return [`${table}: ${reasonOf(error)}`]
  }
}

/** SQLite's quick check, table by table and bounded. Blocks the thread while a table is read. */
export const checkIntegrity = (db: SqliteDatabase, options: IntegrityOptions = {}): IntegrityReport => {
  const maxFindings = options.maxFindings ?? 20
  const endMs = performance.now() + (options.timeLimitMs ?? 60_000)
  const findings: string[] = []
  const tables = tableNames(db)
  let tablesChecked = 0
  for (const table of tables) {
    if (findings.length >= maxFindings || performance.now() > endMs) break
    findings.push(...checkTable(db, table, maxFindings - findings.length))
    tablesChecked++
  }
  const damage = findings.filter((finding) => !isViolation(finding))
  const violations = findings.filter(isViolation)
  return {
    ok: damage.length === 0,
    complete: tablesChecked === tables.length && findings.length < maxFindings,
    tablesChecked,
    damage,
    violations,
  }
}
