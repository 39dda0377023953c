import { exitCodes } from '../../errors.js'
import * as operations from '../../server/operations/feed-outbox.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import { confirm } from '../terminal/confirm.js'
import { outboxText } from '../text/feed-text.js'
import { counted } from '../text/progress-text.js'

const tableNames = (operands: readonly (string | undefined)[]): readonly string[] =>
  operands.flatMap((name) => (name === undefined ? [] : [name.includes('.') ? name : `public.${name}`]))

export const feedOutbox: Run = async (context) => {
  const report = await operations.feedOutbox(await commandProject(context))
  context.terminal.result(report, () => outboxText(report))
  return exitCodes.ok
}

export const feedOutboxInstall: Run = async (context, tables) => {
  const { terminal, dryRun } = context
  const project = await commandProject(context)
  const names = tableNames(tables)
  if (dryRun) {
    const wanted = names.length > 0 ? names : project.config.feed.tables
    terminal.result({ dryRun, tables: wanted }, () => `Would put the outbox on ${wanted.join(', ') || 'no table'}.`)
    return exitCodes.ok
  }
  const report = await operations.feedInstallOutbox(project, names)
  terminal.result(report, ({ green, yellow }) =>
    report.installed
      .map(({ table, always }) =>
        always
          ? `${green('✓')} ${table}`
          : yellow(`! ${table}: not what roles write that replicate or restore (only its owner can ask for that)`),
      )
      .join('\n'),
  )
  return exitCodes.ok
}

export const feedOutboxRemove: Run = async (context, tables) => {
  const { terminal, yes, dryRun } = context
  const project = await commandProject(context)
  const names = tableNames(tables)
  if (dryRun) {
    const report = await operations.feedOutbox(project)
    const gone = names.length > 0 ? report.tables.filter((table) => names.includes(table)) : report.tables
    terminal.result({ dryRun, removed: gone, rows: names.length > 0 ? 0 : report.rows }, () => outboxText(report))
    return exitCodes.ok
  }
  if (names.length === 0)
    await confirm(terminal, yes, 'Removing the outbox', 'loses what was not read yet; whoever followed it has to begin anew')
  const report = await operations.feedRemoveOutbox(project, names)
  terminal.result(report, ({ green }) =>
    [
      `${green('✓')} taken off ${report.removed.join(', ') || 'no table'}`,
      ...(report.rows > 0 ? [`  with ${counted(report.rows, 'row')} that nobody had read`] : []),
    ].join('\n'),
  )
  return exitCodes.ok
}

export const feedOutboxPrune: Run<{ readonly forget?: string }> = async (context, _operands, { forget }) => {
  const { terminal, yes, dryRun } = context
  const project = await commandProject(context)
  if (dryRun) {
    const report = await operations.feedOutbox(project)
    terminal.result({ dryRun, ...report }, () => outboxText(report))
    return exitCodes.ok
  }
  if (forget !== undefined)
    await confirm(
      terminal,
      yes,
      `Forgetting the reader ${forget}`,
      'loses what it has not read; a server that comes back under that name begins anew',
    )
  const report = await operations.feedPruneOutbox(project, forget)
  terminal.result(report, ({ green }) => `${green('✓')} removed ${counted(report.pruned, 'row')}`)
  return exitCodes.ok
}
