import type { ExportReport } from '../../move/export/export.js'
import type { ConductReport } from '../../move/live/conductor.js'
import type { SwitchReport } from '../../move/live/switch-options.js'
import { formatDuration } from '../../time/durations.js'
import type { Colors } from '../terminal/terminal.js'
import { copyText } from './move-text.js'
import { counted, grouped } from './progress-text.js'
import { table } from './table.js'

const outcomes: Readonly<Record<ConductReport['outcome'], (file: string) => string>> = {
  ready: (file) =>
    `Ready: every row is compared and Postgres is up to date. \`tidemark move cutover ${file}\` switches; until then the file notes what changes.`,
  stopped: (file) => `Stopped; nothing is lost meanwhile. \`tidemark move ${file}\` goes on.`,
  finished: () => 'The move is finished.',
  aborted: () => 'The move was aborted.',
  copyFailed: (file) =>
    `The copy is not whole, so following did not begin. Put right what is named above, then \`tidemark move ${file}\` again.`,
}

const readyToGoBack = (file: string): string =>
  `The file holds what Postgres holds. \`tidemark move rollback ${file}\` would switch back; \`tidemark move follow ${file}\` goes on mirroring.`

/** How following or mirroring ended. */
export const conductText = ({ outcome, state, copy }: ConductReport, file: string, colors: Colors): string =>
  [
    ...(copy ? [copyText(copy, colors)] : []),
    colors.bold(outcome === 'ready' && state === 'mirroring' ? readyToGoBack(file) : outcomes[outcome](file)),
  ].join('\n')

/** What a switch took, step by step. */
export const switchText = (writer: string, report: SwitchReport, { bold, yellow }: Colors): string => {
  const { command } = report
  const failed = command !== null && command.failure !== null
  return [
    bold(`${writer} takes the writes. They were refused for ${formatDuration(report.pauseMs)}.`),
    table(
      ['step', 'took'],
      report.steps.map(({ step, elapsedMs }) => [step, formatDuration(elapsedMs)]),
    ),
    ...(failed ? [yellow(`! ${command.command.join(' ')} did not end well: ${command.failure}`)] : []),
  ].join('\n')
}

/** What an export wrote. */
export const exportText = (report: ExportReport, { bold, yellow }: Colors): string =>
  [
    bold(
      `${report.path}: ${counted(
        report.tables.reduce((sum, { rows }) => sum + rows, 0),
        'row',
      )} in ${formatDuration(report.elapsedMs)}.`,
    ),
    table(
      ['table', 'rows', 'nearest form', 'refused'],
      report.tables.map((one) => [one.table, one.rows, one.nearest, one.refused]),
    ),
    ...report.left.map(({ name, reason }) => yellow(`! ${name} was left out: ${reason}`)),
    ...(report.ok
      ? []
      : [yellow(`${grouped(report.differences.length)} values or rows are not as Postgres has them; --json lists them.`)]),
  ].join('\n')
