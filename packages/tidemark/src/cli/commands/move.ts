import { existsSync } from 'node:fs'
import { exitCodes, TidemarkError } from '../../errors.js'
import type { VerifyReport } from '../../move/move.js'
import * as operations from '../../server/operations/move/move.js'
import type { Project } from '../../server/project/project.js'
import { commandProject } from '../command-project.js'
import type { CommandContext, Run } from '../context.js'
import { moveStatusText } from '../text/move-status-text.js'
import { copyText, verifyText } from '../text/move-text.js'
import { table } from '../text/table.js'
import {
  type CopyFlags,
  confirmReplace,
  copyExit,
  type Files,
  filesOf,
  type PlanFlags,
  requestOf,
  summary,
  tell,
  withProgress,
  writePlanFiles,
} from './move-request.js'

interface VerifyFlags {
  readonly maxDifferences?: number
  readonly tables?: readonly string[]
}

const copyWords = {
  state: 'the copy is not finished. What was copied is kept, and the application was not touched.',
  fix: 'Run the same command again with --on-existing resume; it goes on where it stopped.',
}

export const movePlan: Run<PlanFlags & { readonly out?: string }> = async (context, [file = ''], flags) => {
  const files = filesOf(context, file, flags)
  const project = await commandProject(context)
  const plan = await withProgress(context, (run) => operations.movePlan(project, requestOf(file, flags, files), run))
  const plain = await summary(plan, false)
  const colored = await summary(plan, true)
  context.terminal.result(plan, ({ isColorSupported }) => (isColorSupported ? colored : plain))
  await writePlanFiles(context, plan, files)
  return exitCodes.ok
}

/** What --dry-run of a copy gives: the plan, and nothing else happens. */
const planOnly = async (context: CommandContext, project: Project, request: operations.PlanRequest): Promise<number> => {
  const plan = await withProgress(context, (run) => operations.movePlan(project, request, run))
  const [plain, colored] = [await summary(plan, false), await summary(plan, true)]
  context.terminal.result({ dryRun: true, plan }, ({ isColorSupported }) => (isColorSupported ? colored : plain))
  context.terminal.note('Nothing was copied.')
  return exitCodes.ok
}

export const moveCopy: Run<PlanFlags & CopyFlags> = async (context, [file = ''], flags) => {
  const files = filesOf(context, file, flags)
  const project = await commandProject(context)
  const request = requestOf(file, flags, files)
  if (context.dryRun) return planOnly(context, project, request)
  await confirmReplace(context, flags)
  context.interrupt.setLastWords(copyWords)
  const outcome = await withProgress(context, (run) =>
    operations.moveCopy(project, { ...request, onExisting: flags.onExisting }, run),
  )
  context.terminal.result(outcome.report, (colors) => copyText(outcome.report, colors))
  return copyExit(context, outcome, files)
}

const verifyRequest = (request: operations.PlanRequest, flags: VerifyFlags): operations.VerifyRequest => ({
  ...request,
  ...(flags.tables !== undefined && { tables: [...flags.tables] }),
  ...(flags.maxDifferences !== undefined && { maxDifferences: flags.maxDifferences }),
})

export const moveVerify: Run<PlanFlags & VerifyFlags> = async (context, [file = ''], flags) => {
  const files = filesOf(context, file, flags)
  const project = await commandProject(context)
  const report = await withProgress(context, (run) =>
    operations.moveVerify(project, verifyRequest(requestOf(file, flags, files), flags), run),
  )
  context.terminal.result(report, (colors) => verifyText(report, colors))
  return tell(context, operations.differsError(report))
}

const allExit = (context: CommandContext, outcome: operations.CopyOutcome, verification: VerifyReport, files: Files): number => {
  const differs = tell(context, operations.differsError(verification))
  return differs === exitCodes.ok ? copyExit(context, outcome, files) : differs
}

/** Plan, copy and verify in one go, over one hold of the embedded Postgres. */
const moveOnce: Run<PlanFlags & CopyFlags & VerifyFlags> = async (context, [file], flags) => {
  if (file === undefined) {
    throw new TidemarkError('TM_CLI_USAGE', { reason: 'Name the SQLite file to move.', command: 'tidemark move' })
  }
  const { terminal } = context
  const files = filesOf(context, file, flags)
  const outer = await commandProject(context)
  const request = requestOf(file, flags, files)
  if (context.dryRun) return planOnly(context, outer, request)
  await confirmReplace(context, flags)
  return outer.withDatabase(flags.to, async (database) => {
    const { projectOver } = await import('../../server/project/project.js')
    const project = projectOver(database, outer)
    // What is open is what `--to` named, so the operations need not be told again.
    const { to: _opened, ...here } = request
    const plan = await withProgress(context, (run) => operations.movePlan(project, here, run))
    terminal.note(await summary(plan, terminal.colors.isColorSupported))
    await writePlanFiles(context, plan, files)
    context.interrupt.setLastWords(copyWords)
    const again = existsSync(files.choices) ? { ...here, choices: files.choices } : here
    const outcome = await withProgress(context, (run) =>
      operations.moveCopy(project, { ...again, onExisting: flags.onExisting }, run),
    )
    terminal.note(copyText(outcome.report, terminal.colors))
    context.interrupt.setLastWords({
      state: 'the copy is complete and not verified.',
      fix: `Run \`tidemark move verify ${file}\`.`,
    })
    const verification = await withProgress(context, (run) => operations.moveVerify(project, verifyRequest(again, flags), run))
    const ok = outcome.report.ok && verification.ok
    terminal.result(
      {
        ok,
        tables: verification.tables,
        plan: { totals: plan.totals, hazards: plan.hazards },
        copy: outcome.report,
        verify: verification,
      },
      (colors) => verifyText(verification, colors),
    )
    return allExit(context, outcome, verification, files)
  })
}

/** A live move, unless the file is at rest and was to be copied once. A dry run of either is the plan. */
export const moveAll: Run<
  PlanFlags & CopyFlags & VerifyFlags & { readonly once?: boolean; readonly untilReady?: boolean }
> = async (context, operands, flags) => {
  if (flags.once || context.dryRun) return moveOnce(context, operands, flags)
  const { moveLive } = await import('./live-move.js')
  return moveLive(context, operands, flags)
}

export const moveStatus: Run<{ readonly to?: string; readonly rejects?: boolean; readonly limit?: number }> = async (
  context,
  [file],
  { to, rejects = false, limit = 100 },
) => {
  const { terminal } = context
  const project = await commandProject(context)
  const request = { ...(file !== undefined && { file }), ...(to !== undefined && { to }) }
  const moves = await operations.moveStatus(project, request)
  const listed = rejects ? await operations.moveRejects(project, { ...request, limit }) : undefined
  terminal.result({ moves, ...(listed && { rejects: listed }) }, (colors) => {
    if (moves.length === 0) return 'No moves into this database yet.'
    const runs = moves.map((move) => moveStatusText(move, colors))
    const rejected = listed?.map((reject) => [reject.table, reject.key, reject.column ?? '', reject.outcome, reject.reason])
    return [...runs, ...(rejected ? [table(['table', 'key', 'column', 'outcome', 'reason'], rejected)] : [])].join('\n\n')
  })
  return exitCodes.ok
}
