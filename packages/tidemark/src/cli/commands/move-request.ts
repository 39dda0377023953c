/** What every command of a move is asked and tells alike. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { parse, relative, resolve } from 'node:path'
import { exitCodes, type TidemarkError } from '../../errors.js'
import type { MovePlan } from '../../move/move.js'
import * as operations from '../../server/operations/move/move.js'
import type { CommandContext } from '../context.js'
import { renderFailure } from '../failure.js'
import { confirm } from '../terminal/confirm.js'
import { createProgressDisplay } from '../terminal/progress-display.js'

export interface PlanFlags {
  readonly to?: string
  readonly schema?: string
  readonly into?: 'new' | 'existing'
  readonly map?: string
  readonly choices?: string
  readonly names?: 'exact' | 'lower'
  readonly exclude?: readonly string[]
}

export interface CopyFlags {
  readonly onExisting: 'refuse' | 'resume' | 'replace'
}

export interface Files {
  readonly choices: string
  readonly report: string
}

/** `app.db` is planned in ./app.move.json and reported in ./app.move.md, beside whoever calls. */
export const filesOf = ({ io }: CommandContext, file: string, flags: PlanFlags & { readonly out?: string }): Files => {
  const { name } = parse(file)
  return {
    choices: resolve(io.cwd, flags.choices ?? `${name}.move.json`),
    report: resolve(io.cwd, flags.out ?? `${name}.move.md`),
  }
}

/** A file of choices counts where it was named or where the plan has written one; a named one that is missing is an error of the reader's. */
export const requestOf = (file: string, flags: PlanFlags, { choices }: Files): operations.PlanRequest => ({
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
export const withProgress = async <T>(context: CommandContext, operation: (run: operations.Run) => Promise<T>): Promise<T> => {
  const display = createProgressDisplay(context.terminal)
  try {
    return await operation({ onEvent: display.onEvent, signal: context.interrupt.signal })
  } finally {
    display.stop()
  }
}

/** An outcome that is not an error of the command, and still not a success: told on stderr, beside the result on stdout. */
export const tell = ({ terminal }: CommandContext, failure: TidemarkError | undefined): number => {
  if (!failure) return exitCodes.ok
  terminal.stderr.write(`${renderFailure(failure, terminal.colors, terminal.verbose)}\n`)
  return failure.exitCode
}

export const summary = async (plan: MovePlan, color: boolean): Promise<string> => {
  const { renderPlanSummary } = await import('../../move/report.js')
  return renderPlanSummary(plan, { color })
}

export const writePlanFiles = async (context: CommandContext, plan: MovePlan, { choices, report }: Files): Promise<void> => {
  if (context.dryRun) return
  const { io, terminal } = context
  const [{ renderPlan }, { writeChoices }] = await Promise.all([import('../../move/report.js'), import('../../move/choices.js')])
  await writeFile(report, renderPlan(plan))
  const written = writeChoices(plan, choices)
  terminal.note(
    `Report: ${relative(io.cwd, report)} · choices: ${relative(io.cwd, choices)}${written === 'kept' ? ' (kept as it is)' : ''}`,
  )
}

export const confirmReplace = async (context: CommandContext, flags: CopyFlags & PlanFlags): Promise<void> => {
  if (flags.onExisting !== 'replace' || context.dryRun) return
  const action = `Replacing the tables of this move in the schema ${flags.schema ?? 'public'}`
  await confirm(context.terminal, context.yes, action, 'drops what they hold')
}

/** Rows left behind against the choices stop whoever comes next; an object that was not made is a failure too. */
export const copyExit = (context: CommandContext, outcome: Pick<operations.CopyOutcome, 'report'>, files: Files): number => {
  const rejected = operations.rejectsError(outcome.report, relative(context.io.cwd, files.choices))
  if (rejected) return tell(context, rejected)
  return outcome.report.ok ? exitCodes.ok : exitCodes.failed
}
