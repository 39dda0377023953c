import { existsSync } from 'node:fs'
import { exitCodes, TidemarkError } from '../../errors.js'
import type { ConductReport } from '../../move/live/conductor.js'
import * as live from '../../server/operations/move/live-move.js'
import type * as move from '../../server/operations/move/move.js'
import { commandProject } from '../command-project.js'
import type { CommandContext, Run } from '../context.js'
import { splitCommand } from '../programs/split-command.js'
import { confirm } from '../terminal/confirm.js'
import { conductText, exportText, switchText } from '../text/live-move-text.js'
import {
  type CopyFlags,
  confirmReplace,
  copyExit,
  filesOf,
  type PlanFlags,
  requestOf,
  summary,
  withProgress,
  writePlanFiles,
} from './move-request.js'

interface WhichFlags {
  readonly to?: string
  readonly schema?: string
}

interface SwitchFlags extends WhichFlags {
  readonly maxPause?: string
  readonly onCutover?: string
  readonly mirror?: boolean
}

interface FollowFlags extends PlanFlags, CopyFlags {
  readonly untilReady?: boolean
}

const which = (file: string, { to, schema }: WhichFlags): live.LiveRequest => ({
  file,
  ...(to !== undefined && { to }),
  ...(schema !== undefined && { schema }),
})

const keepsGoing = (file: string) => ({
  state: 'the move stands where it is; nothing is lost while nobody follows, the file notes what changes.',
  fix: `Run \`tidemark move ${file}\` again; it goes on where it stopped.`,
})

/** Follows or mirrors until the move ends or the caller stops it. Told to go on until Ctrl-C, being stopped is the good end. */
const conduct = async (
  context: CommandContext,
  request: live.FollowRequest,
  files: ReturnType<typeof filesOf>,
  begin: (run: move.Run) => Promise<ConductReport>,
): Promise<number> => {
  context.interrupt.setLastWords(keepsGoing(request.file))
  const report = await withProgress(context, begin)
  context.terminal.result(report, (colors) => conductText(report, request.file, colors))
  const copied = report.copy ? copyExit(context, { report: report.copy }, files) : exitCodes.ok
  return report.outcome === 'stopped' ? exitCodes.interrupted : copied
}

/** `tidemark move FILE`: begins with a plan, or goes on with the move that there is. */
export const moveLive: Run<FollowFlags> = async (context, [file], flags) => {
  if (file === undefined) {
    throw new TidemarkError('TM_CLI_USAGE', { reason: 'Name the SQLite file to move.', command: 'tidemark move' })
  }
  const files = filesOf(context, file, flags)
  const outer = await commandProject(context)
  await confirmReplace(context, flags)
  return outer.withDatabase(flags.to, async (database) => {
    const { projectOver } = await import('../../server/project/project.js')
    const project = projectOver(database, outer)
    // What is open is what `--to` named, so the operations need not be told again.
    const { to: _opened, ...here } = requestOf(file, flags, files)
    const request = { ...here, onExisting: flags.onExisting, until: flags.untilReady ? 'ready' : 'ended' } as const
    const quiet = { onEvent: () => {}, signal: context.interrupt.signal }
    const { to: _to, ...asked } = which(file, flags)
    if (flags.onExisting !== 'replace' && (await live.isUnderWay(project, asked, quiet)))
      return conduct(context, request, files, (run) => live.moveConduct(project, request, run))
    const plan = await withProgress(context, (run) => live.livePlan(project, here, run))
    context.terminal.note(await summary(plan, context.terminal.colors.isColorSupported))
    await writePlanFiles(context, plan, files)
    const chosen = here.choices !== undefined || !existsSync(files.choices)
    const final = chosen ? plan : await live.livePlan(project, { ...here, choices: files.choices }, quiet)
    return conduct(context, request, files, (run) => live.moveConduct(project, request, run, final))
  })
}

/** `tidemark move follow FILE`: goes on with a move; never begins one. */
export const moveFollow: Run<WhichFlags & { readonly untilReady?: boolean }> = async (context, [file = ''], flags) => {
  const project = await commandProject(context)
  const request = { ...which(file, flags), until: flags.untilReady ? 'ready' : 'ended' } as const
  return conduct(context, request, filesOf(context, file, {}), (run) => live.moveConduct(project, request, run))
}

const switchRequest = (file: string, flags: SwitchFlags): live.SwitchRequest => ({
  ...which(file, flags),
  ...(flags.maxPause !== undefined && { maxPause: flags.maxPause }),
  ...(flags.onCutover !== undefined && { onSwitch: splitCommand(flags.onCutover) }),
})

export const moveCutover: Run<SwitchFlags> = async (context, [file = ''], flags) => {
  const outer = await commandProject(context)
  const { terminal, interrupt } = context
  return outer.withDatabase(flags.to, async (database) => {
    const { projectOver } = await import('../../server/project/project.js')
    const project = projectOver(database, outer)
    const { to: _opened, ...request } = switchRequest(file, flags)
    interrupt.setLastWords({
      state: 'the switch undoes itself, or was done already.',
      fix: `\`tidemark move status ${file}\` tells which; \`tidemark move cutover ${file}\` goes on.`,
    })
    const report = await withProgress(context, (run) => live.moveCutover(project, request, run))
    terminal.result(report, (colors) => switchText('Postgres', report, colors))
    if (flags.mirror === false) return exitCodes.ok
    terminal.note(
      `Postgres is mirrored into ${file} while this runs. Ctrl-C stops it; \`tidemark move follow ${file}\` takes it up again.`,
    )
    interrupt.setLastWords({
      state: 'Postgres takes the writes; the mirror stands still and loses nothing.',
      fix: `\`tidemark move follow ${file}\` takes it up again.`,
    })
    const { maxPause: _pause, onSwitch: _command, ...rest } = request
    await withProgress(context, (run) => live.moveConduct(project, { ...rest, until: 'ended' }, run))
    return exitCodes.ok
  })
}

export const moveRollback: Run<SwitchFlags & { readonly postgres?: boolean; readonly withoutPostgres?: boolean }> = async (
  context,
  [file = ''],
  flags,
) => {
  const project = await commandProject(context)
  const { terminal } = context
  if (flags.withoutPostgres) {
    const action = `Opening ${file} without Postgres`
    await confirm(terminal, context.yes, action, 'leaves behind what Postgres took after the last mirrored position')
    const report = await live.moveRollbackWithoutPostgres(project, { file })
    terminal.result(report, ({ bold }) =>
      [
        bold(report.opened ? `${file} takes writes again.` : `${file} took writes already; nothing was done.`),
        `It holds what Postgres took up to ${report.position ?? 'the cutover'}${report.mirroredAt ? ` (last written ${report.mirroredAt})` : ''}.`,
        'See to it that nothing writes to that Postgres any more; the next command that reaches it closes it.',
      ].join('\n'),
    )
    return exitCodes.ok
  }
  context.interrupt.setLastWords({
    state: 'the way back undoes itself, or was gone already.',
    fix: `\`tidemark move status ${file}\` tells which; \`tidemark move rollback ${file}\` goes on.`,
  })
  const report = await withProgress(context, (run) => live.moveRollback(project, switchRequest(file, flags), run))
  terminal.result(report, (colors) => switchText('SQLite', report, colors))
  return exitCodes.ok
}

const percentOf = (text: string): number => {
  const digits = /^(\d{1,3})%?$/.exec(text)?.[1]
  if (digits !== undefined && Number(digits) <= 100) return Number(digits)
  throw new TidemarkError('TM_CLI_USAGE', {
    reason: `"${text}" is no share of the reads: give a percentage from 0% to 100%.`,
    command: 'tidemark move reads',
  })
}

export const moveReads: Run<WhichFlags> = async (context, [file = '', share = ''], flags) => {
  const percent = percentOf(share)
  const project = await commandProject(context)
  const report = await withProgress(context, (run) => live.moveReads(project, { ...which(file, flags), percent }, run))
  context.terminal.result(report, () => `Postgres answers ${report.percent} % of the reads (before: ${report.before} %).`)
  return exitCodes.ok
}

export const moveFinish: Run<WhichFlags> = async (context, [file = ''], flags) => {
  await confirm(context.terminal, context.yes, 'Finishing the move', 'closes the way back to SQLite')
  const project = await commandProject(context)
  const report = await withProgress(context, (run) => live.moveFinish(project, { ...which(file, flags), yes: context.yes }, run))
  context.terminal.result(report, ({ bold }) =>
    bold('The move is finished. Postgres has the data; the file is no longer kept in step.'),
  )
  return exitCodes.ok
}

export const moveAbort: Run<WhichFlags & { readonly keepTables?: boolean }> = async (context, [file = ''], flags) => {
  const keepTables = flags.keepTables ?? false
  await confirm(context.terminal, context.yes, 'Aborting the move', keepTables ? 'stops following' : 'drops the copy in Postgres')
  const project = await commandProject(context)
  const report = await withProgress(context, (run) => live.moveAbort(project, { ...which(file, flags), keepTables }, run))
  context.terminal.result(report, ({ bold }) => bold(`${file} is as it was before the move.`))
  return exitCodes.ok
}

export const moveExport: Run<WhichFlags & { readonly out: string }> = async (context, [file = ''], flags) => {
  const project = await commandProject(context)
  context.interrupt.setLastWords({ state: 'no file was made.', fix: 'Run the command again.' })
  const report = await withProgress(context, (run) => live.moveExport(project, { ...which(file, flags), out: flags.out }, run))
  context.terminal.result(report, (colors) => exportText(report, colors))
  return report.ok ? exitCodes.ok : exitCodes.differs
}
