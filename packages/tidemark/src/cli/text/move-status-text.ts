import type { MoveStatus } from '../../move/status.js'
import type { Colors } from '../terminal/terminal.js'
import { bytesText } from './feed-text.js'
import { counted } from './progress-text.js'
import { table } from './table.js'

const writers: Readonly<Record<MoveStatus['writer'], string>> = {
  sqlite: 'SQLite takes the writes.',
  postgres: 'Postgres takes the writes.',
  none: 'Nobody takes writes for the moment.',
}

const behindLines = ({ writer, log, mirror }: MoveStatus): readonly string[] => {
  if (writer === 'sqlite' && log !== null && log.behind !== null)
    return [
      log.behind === 0
        ? 'Postgres has every change of the file.'
        : `Postgres is ${counted(log.behind, 'change')} behind the file.`,
    ]
  if (writer === 'postgres' && mirror !== null && mirror.behindBytes !== null)
    return [`Postgres keeps ${bytesText(mirror.behindBytes)} of its log for the mirror.`]
  return []
}

/** What the file holds less finely than Postgres. */
const narrowedLines = ({ narrowed }: MoveStatus): readonly string[] =>
  narrowed.map(
    ({ table: name, column, count, first }) =>
      `  ${name}.${column}: ${counted(count, 'value')} narrowed (first: ${first.key}, ${first.target ?? 'NULL'}: ${first.reason})`,
  )

/** How one move stands. */
export const moveStatusText = (move: MoveStatus, { bold, yellow }: Colors): string => {
  const { differences } = move.checks
  return [
    bold(`${move.path} → ${move.targetSchema}: ${move.state}, started ${move.startedAt}`),
    [writers[move.writer], ...behindLines(move)].join(' '),
    table(
      ['table', 'rows', 'copied', 'rejected', 'done'],
      move.tables.map((one) => [one.table, one.rows, one.copied, one.rejected, one.done ? 'yes' : 'no']),
    ),
    ...(differences > 0 ? [yellow(`! ${counted(differences, 'row')} differ between the two sides.`)] : []),
    ...narrowedLines(move),
  ].join('\n')
}
