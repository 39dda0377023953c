import { exitCodes, TidemarkError } from '../../errors.js'
import * as operations from '../../server/operations/backup.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import { confirm } from '../terminal/confirm.js'
import { table } from '../text/table.js'

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

export const dbBackup: Run<{ readonly keep?: number }> = async (context, [folder], { keep }) => {
  const project = await commandProject(context)
  const report = await operations.backUp(project, { folder: folder!, ...(keep !== undefined && { keep }) })
  const { backup, removed, prunedSegments } = report
  context.terminal.result(report, () =>
    [
      `${backup.path}: ${backup.files} files, ${megabytes(backup.bytes)}, whole as of ${backup.endedAt}`,
      ...(removed.length > 0 ? [`removed: ${removed.join(', ')}`] : []),
      ...(prunedSegments > 0 ? [`removed from the archive: ${prunedSegments} files of the log`] : []),
    ].join('\n'),
  )
  if (project.config.postgres.archiveDir === undefined && !context.terminal.json)
    context.terminal.note('postgres.archiveDir is not set: what is written from now on is only in the data itself.')
  return exitCodes.ok
}

export const dbBackups: Run = async (context, [folder]) => {
  const backups = await operations.backups(await commandProject(context), folder!)
  const rows = backups.map(({ name, endedAt, timeline, version, bytes }) => [name, endedAt, timeline, version, megabytes(bytes)])
  context.terminal.result({ backups }, () =>
    rows.length === 0 ? `no backups in ${folder}` : table(['backup', 'whole as of', 'timeline', 'postgres', 'size'], rows),
  )
  return exitCodes.ok
}

const usage = (reason: string): TidemarkError => new TidemarkError('TM_CLI_USAGE', { reason, command: 'tidemark db restore' })

const momentForm = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})$/

const parseMoment = (text: string): Date => {
  const moment = new Date(text.replace(' ', 'T'))
  // Without a zone it would mean another moment on each machine.
  if (!momentForm.test(text) || Number.isNaN(moment.getTime()))
    throw usage(`--to-time is a moment with its zone, such as 2026-01-31T12:00:00Z, and not "${text}".`)
  return moment
}

interface RestoreFlags {
  readonly toTime?: string
  readonly backup?: string
  readonly timeline?: string
}

export const dbRestore: Run<RestoreFlags> = async (context, [folder], { toTime, backup, timeline }) => {
  const { terminal, yes, dryRun } = context
  if (timeline !== undefined && !/^(?:[1-9]\d*|current|latest)$/.test(timeline))
    throw usage('--timeline is a number, current or latest.')
  const to = toTime === undefined ? undefined : parseMoment(toTime)
  const request: operations.RestoreRequest = {
    folder: folder!,
    ...(to && { to }),
    ...(backup !== undefined && { backup }),
    ...(timeline !== undefined && { timeline }),
  }
  const project = await commandProject(context)
  const chosen = await operations.chooseBackup(project, request)
  if (dryRun) {
    terminal.result({ dryRun: true, backup: chosen }, () => `would begin from ${chosen.path}, whole as of ${chosen.endedAt}`)
    return exitCodes.ok
  }
  const moment = to === undefined ? 'as far as the log goes' : `as of ${to.toISOString()}`
  await confirm(terminal, yes, `Restoring ${chosen.name}`, `replaces the data of this project by what it was, ${moment}`)
  const report = await operations.restore(project, request)
  terminal.result(report, () =>
    [
      `restored ${report.backup}; the last transaction in it is of ${report.lastCommitAt ?? 'before the backup'}`,
      `a new history begins: timeline ${report.timeline}`,
      ...(report.replaced === null ? [] : [`what was there before is in ${report.replaced}; remove it when you are sure`]),
    ].join('\n'),
  )
  return exitCodes.ok
}
