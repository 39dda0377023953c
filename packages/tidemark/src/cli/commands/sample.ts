import { parse, resolve } from 'node:path'
import { toTidemarkError } from '../../errors.js'
import type { MovePlan } from '../../move/move.js'
import * as operations from '../../server/operations/move/move.js'
import type { Project } from '../../server/project/project.js'
import type { CommandContext } from '../context.js'
import { renderFailure } from '../failure.js'
import { createProgressDisplay } from '../terminal/progress-display.js'
import type { Screen } from '../terminal/screen.js'
import { counted } from '../text/progress-text.js'

/** What became of the sample, in words for the banner and as data. */
export interface MovedSample {
  readonly schema: string
  readonly tables: number
  readonly rows: number
  readonly verified: boolean
  readonly sentence: string
  /** As SQL names it. */
  readonly exampleTable: string
}

/** A schema that is named after the file: `My Data.db` → `my_data`. */
export const schemaNamed = (path: string): string => {
  const name = parse(path)
    .name.toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
  return /^[a-z]/.test(name) ? name.slice(0, 63) : `sample_${name}`.slice(0, 63)
}

const quoted = (name: string): string => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`)

type Table = Pick<MovePlan['tables'][number], 'target' | 'rows'>

const describe = (file: string, schema: string, tables: readonly Table[], verified: boolean, how: string): MovedSample => {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  const largest = tables.reduce<Table | undefined>((best, table) => (best && best.rows >= table.rows ? best : table), undefined)
  return {
    schema,
    rows,
    verified,
    tables: tables.length,
    sentence: `${parse(file).base} is in the schema ${schema}: ${counted(tables.length, 'table')}, ${counted(rows, 'row')}, ${how}`,
    exampleTable: `${quoted(schema)}.${quoted(largest?.target ?? 'table')}`,
  }
}

const movedBefore = async (project: Project, file: string, schema: string): Promise<MovedSample | undefined> => {
  const moves = await operations.moveStatus(project, { file })
  const done = moves.find((move) => move.targetSchema === schema && move.state === 'copied')
  return (
    done &&
    describe(
      file,
      schema,
      done.tables.map(({ table, rows }) => ({ target: table, rows })),
      true,
      'moved earlier',
    )
  )
}

const moveNow = async (
  context: CommandContext,
  screen: Screen,
  project: Project,
  file: string,
  schema: string,
): Promise<MovedSample> => {
  const { terminal, interrupt } = context
  terminal.note(`Moving the sample ${file} into the schema ${schema} …`)
  const display = createProgressDisplay(terminal)
  const run = { onEvent: display.onEvent, signal: interrupt.signal }
  return screen.during(display, async () => {
    const { plan } = await operations.moveCopy(project, { file, schema }, run)
    const verification = await operations.moveVerify(project, { file, schema }, run)
    return describe(
      file,
      schema,
      plan.tables,
      verification.ok,
      verification.ok ? 'verified row by row' : 'with differences: run `tidemark move verify`',
    )
  })
}

/** Moves the sample on the first run. That it cannot be moved keeps nobody from the server, so it is told and no more. */
export const moveSample = async (
  context: CommandContext,
  screen: Screen,
  project: Project,
  path: string,
): Promise<MovedSample | undefined> => {
  const { terminal, interrupt, io } = context
  const file = resolve(io.cwd, path)
  const schema = schemaNamed(file)
  try {
    return (await movedBefore(project, file, schema)) ?? (await moveNow(context, screen, project, file, schema))
  } catch (error) {
    if (interrupt.signal.aborted) throw error
    terminal.warn('The sample was not moved:')
    terminal.note(renderFailure(toTidemarkError(error), terminal.colors, terminal.verbose))
    return undefined
  }
}
