import type { CopyReport, RowDifference, VerifyReport } from '../../move/move.js'
import { formatDuration } from '../../time/durations.js'
import type { Colors } from '../terminal/terminal.js'
import { counted, grouped } from './progress-text.js'
import { table } from './table.js'

/** What a copy did, table by table. */
export const copyText = (report: CopyReport, { bold, yellow }: Colors): string => {
  const rows = report.tables.reduce((sum, { copied }) => sum + copied, 0)
  const done = report.resumed && rows === 0 ? 'Nothing was left to copy' : `Copied ${counted(rows, 'row')}`
  const how = report.resumed ? ', going on with an earlier copy' : ''
  const speed = report.rowsPerSecond > 0 ? ` (${grouped(report.rowsPerSecond)} rows/s)` : ''
  const head = `${bold(`${done} of ${counted(report.tables.length, 'table')}`)} in ${formatDuration(report.elapsedMs)}${speed}${how}.`
  const failed = report.objects.failed.map(({ name, reason }) => yellow(`! ${name} was not made: ${reason}`))
  return [
    head,
    table(
      ['table', 'rows', 'copied', 'rejected', 'replaced'],
      report.tables.map((one) => [one.table, one.rows, one.copied, one.rejected, one.replaced]),
    ),
    `Keys, indexes, constraints and views made: ${grouped(report.objects.made)}.`,
    ...failed,
  ].join('\n')
}

const differenceLines = ({ key, state, columns }: RowDifference): readonly string[] => [
  `    ${state} ${key}`,
  ...columns.map(
    ({ column, source, target }) => `      ${column}: ${source ?? 'NULL'} in the file, ${target ?? 'NULL'} in Postgres`,
  ),
]

/** What a verification found: every row of the file accounted for, and the rows that differ. */
export const verifyText = (report: VerifyReport, { bold, green, red }: Colors): string => {
  const rows = report.tables.reduce((sum, one) => sum + one.rows, 0)
  const verdict = report.ok
    ? green(`✓ Every one of ${counted(rows, 'row')} is accounted for`)
    : red(`✗ The file and Postgres differ`)
  const differing = report.tables.filter(({ differences }) => differences.length > 0)
  return [
    `${bold(verdict)} (${formatDuration(report.elapsedMs)}).`,
    table(
      ['table', 'rows', 'equal', 'mapped', 'rejected', 'missing', 'extra', 'differing'],
      report.tables.map((one) => [
        one.table,
        one.rows,
        one.equal,
        one.mapped,
        one.rejected,
        one.missing,
        one.extra,
        one.differing,
      ]),
    ),
    ...differing.flatMap(({ table: name, differences }) => [`  ${name}`, ...differences.flatMap(differenceLines)]),
  ].join('\n')
}
