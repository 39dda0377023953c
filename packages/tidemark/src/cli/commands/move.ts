import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { parse, relative, resolve } from 'node:path'
import { exitCodes, TidemarkError } from '../../errors.js'
import type { MovePlan, VerifyReport } from '../../move/move.js'
import * as operations from '../../server/operations/move.js'
import type { Project } from '../../server/project.js'
import { commandProject } from '../command-project.js'
import { confirm } from '../confirm.js'
import type { CommandContext, Run } from '../context.js'
import { renderFailure } from '../failure.js'
import { copyText, verifyText } from '../move-text.js'
import { createProgressDisplay } from '../progress-display.js'
import { table } from '../table.js'

interface PlanFlags {
  readonly to?: string
  readonly schema?: string
  readonly into?: 'new' | 'existing'
  readonly map?: string
  readonly choices?: string
  readonly names?: 'exact' | 'lower'
  readonly exclude?: readonly string[]
}

interface CopyFlags {
  readonly onExisting: 'refuse' | 'resume' | 'replace'
}

interface VerifyFlags {
  readonly maxDifferences?: number
  readonly tables?: readonly string[]
}

interface Files {
  readonly choices: string
  readonly report: string
}

/** `app.db` is planned in ./app.move.json and reported in ./app.move.md, beside whoever calls. */
const filesOf = ({ io }: CommandContext, file: string, flags: PlanFlags & { readonly out?: string }): Files => {
  const { name } = parse(file)
  return {
    choices: resolve(io.cwd, flags.choices ?? `${name}.move.json`),
    report: resolve(io.cwd, flags.out ?? `${name}.move.md`),
  }
}

/** A file of choices counts where it was named or where the plan has written one; a named one that is missing is an error of the reader's. */
const requestOf = (file: string, flags: PlanFlags, { choices }: Files): operations.PlanRequest => ({
  file,
  ...(flags.to !== undefined && { to: flags.to }),
  ...(flags.schema !== undefined && { schema: flags.schema }),
  ...(flags.into !== undefined && { into: flags.into }),
  ...(flags.map !== undefined && { map: flags.map }),
  ...(flags.names !== undefined && { names: flags.names }),
  ...(flags.exclude !== undefined && { exclude: [...flags.exclude] }),
  ...((flags.choices !== undefined || existsSync(choices)) && { choices }),
})

/** Runs an operation under a progress display, which is gone before anything else is written. */
const withProgress = async <T>(context: CommandContext, operation: (run: operations.Run) => Promise<T>): Promise<T> => {
  const display = createProgressDisplay(context.terminal)
  try {
    return await operation({ onEvent: display.onEvent, signal: context.interrupt.signal })
  } finally {
    display.stop()
  }
}

/** An outcome that is not an error of the command, and still not a success: told on stderr, beside the result on stdout. */
const tell = ({ terminal }: CommandContext, failure: TidemarkError | undefined): number => {
  if (!failure) return exitCodes.ok
  terminal.stderr.write(`${renderFailure(failure, terminal.colors, terminal.verbose)}\n`)
  return failure.exitCode
}

const summary = async (plan: MovePlan, color: boolean): Promise<string> => {
  const { renderPlanSummary } = await import('../../move/report.js')
  return renderPlanSummary(plan, { color })
}

const writePlanFiles = async (context: CommandContext, plan: MovePlan, { choices, report }: Files): Promise<void> => {
  if (context.dryRun) return
  const { io, terminal } = context
  const [{ renderPlan }, { writeChoices }] = await Promise.all([import('../../move/report.js'), import('../../move/choices.js')])
  await writeFile(report, renderPlan(plan))
  const written = writeChoices(plan, choices)
  terminal.note(
    `Report: ${relative(io.cwd, report)} · choices: ${relative(io.cwd, choices)}${written === 'kept' ? ' (kept as it is)' : ''}`,
  )
}

const confirmReplace = async (context: CommandContext, flags: CopyFlags & PlanFlags): Promise<void> => {
  if (flags.onExisting !== 'replace' || context.dryRun) return
  const action = `Replacing the tables of this move in the schema ${flags.schema ?? 'public'}`
  await confirm(context.terminal, context.yes, action, 'drops what they hold')
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

/** Rows left behind against the choices stop whoever comes next; an object that was not made is a failure too. */
const copyExit = (context: CommandContext, outcome: operations.CopyOutcome, files: Files): number => {
  const rejected = operations.rejectsError(outcome.report, relative(context.io.cwd, files.choices))
  if (rejected) return tell(context, rejected)
  return outcome.report.ok ? exitCodes.ok : exitCodes.failed
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

/** plan, copy and verify in one go, over one hold of the embedded Postgres. */
export const moveAll: Run<PlanFlags & CopyFlags & VerifyFlags> = async (context, [file], flags) => {
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
    const { projectOver } = await import('../../server/project.js')
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
  terminal.result({ moves, ...(listed && { rejects: listed }) }, ({ bold }) => {
    if (moves.length === 0) return 'No moves into this database yet.'
    const runs = moves.map((move) =>
      [
        bold(`${move.path} → ${move.targetSchema}: ${move.state}, started ${move.startedAt}`),
        table(
          ['table', 'rows', 'copied', 'rejected', 'done'],
          move.tables.map((one) => [one.table, one.rows, one.copied, one.rejected, one.done ? 'yes' : 'no']),
        ),
      ].join('\n'),
    )
    const rejected = listed?.map((reject) => [reject.table, reject.key, reject.column ?? '', reject.outcome, reject.reason])
    return [...runs, ...(rejected ? [table(['table', 'key', 'column', 'outcome', 'reason'], rejected)] : [])].join('\n\n')
  })
  return exitCodes.ok
}
