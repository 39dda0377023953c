/** The file of choices: what the plan cannot know and people decide. The plan writes it, the copy reads it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { reasonOf, TidemarkError } from '../errors.js'
import type { ColumnPolicies, MovePlan } from './move.js'
import { isTimeZone } from './time-zones.js'

const policies = {
  badValue: z.enum(['reject', 'null']).optional(),
  nulBytes: z.enum(['reject', 'strip', 'replace', 'null']).optional(),
  invalidUtf8: z.enum(['reject', 'replace', 'latin1', 'null']).optional(),
}

const columnTypes = [
  'bigint', 'integer', 'smallint', 'numeric', 'double precision', 'text', 'bytea', 'boolean', 'date', 'time', 'timestamp', 'timestamptz',
  'uuid', 'json', 'jsonb',
] as const // biome-ignore format: one line reads better

const forms = z.array(z.union([z.string(), z.number()]).transform(String)).min(1)

const columnChoice = z.strictObject({
  type: z.enum(columnTypes).optional(),
  rename: z.string().min(1).optional(),
  truthy: forms.optional(),
  falsy: forms.optional(),
  epoch: z.enum(['seconds', 'milliseconds', 'microseconds']).optional(),
  timeZone: z.string().refine(isTimeZone, 'not a time zone that is known here').optional(),
  nullAs: z.string().optional(),
  ...policies,
})

const tableChoice = z.strictObject({
  rename: z.string().min(1).optional(),
  exclude: z.boolean().optional(),
  /** `allow`: rows of this table that cannot be carried may stay behind. */
  rejects: z.literal('allow').optional(),
  columns: z.record(z.string(), columnChoice).optional(),
})

const choicesSchema = z.strictObject({
  $comment: z.string().optional(),
  version: z.literal(1),
  /** The zone of times written without one, where a column is to become timestamptz. */
  timeZone: z.string().refine(isTimeZone, 'not a time zone that is known here').default('UTC'),
  ...policies,
  rejects: z.literal('allow').optional(),
  tables: z.record(z.string(), tableChoice).default({}),
})

export type Choices = z.output<typeof choicesSchema>
export type ColumnChoice = z.output<typeof columnChoice>
export type TableChoice = z.output<typeof tableChoice>

export const noChoices: Choices = { version: 1, timeZone: 'UTC', tables: {} }

/** What zod found wrong, as one sentence with the place. */
export const zodReason = (error: z.ZodError): string =>
  error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`).join('; ')

/** Reads a file of choices. Raises TM_MOVE_CHOICES_INVALID. */
export const readChoices = (path: string): Choices => {
  try {
    const parsed = choicesSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')))
    if (parsed.success) return parsed.data
    throw new TidemarkError('TM_MOVE_CHOICES_INVALID', { path, reason: zodReason(parsed.error) })
  } catch (error) {
    if (error instanceof TidemarkError) throw error
    throw new TidemarkError('TM_MOVE_CHOICES_INVALID', { path, reason: reasonOf(error) }, { cause: error })
  }
}

/** Every name that the choices mention must exist in the file: a misspelt one would silently do nothing. */
export const checkChoices = (
  choices: Choices,
  path: string,
  tables: readonly { readonly name: string; readonly columns: readonly { readonly name: string }[] }[],
): void => {
  for (const [name, table] of Object.entries(choices.tables)) {
    const found = tables.find((candidate) => candidate.name === name)
    if (!found) throw new TidemarkError('TM_MOVE_CHOICES_INVALID', { path, reason: `tables.${name}: the file has no such table` })
    const unknown = Object.keys(table.columns ?? {}).find(
      (column) => !found.columns.some((candidate) => candidate.name === column),
    )
    if (unknown)
      throw new TidemarkError('TM_MOVE_CHOICES_INVALID', {
        path,
        reason: `tables.${name}.columns.${unknown}: the table has no such column`,
      })
  }
}

/** The policies of a column: its own, else the file's, else reject. */
export const policiesOf = (
  choices: Choices,
  table: TableChoice | undefined,
  column: ColumnChoice | undefined,
): ColumnPolicies => {
  const chosen = [
    column?.badValue,
    column?.nulBytes,
    column?.invalidUtf8,
    choices.badValue,
    choices.nulBytes,
    choices.invalidUtf8,
  ]
  return {
    badValue: column?.badValue ?? choices.badValue ?? 'reject',
    nulBytes: column?.nulBytes ?? choices.nulBytes ?? 'reject',
    invalidUtf8: column?.invalidUtf8 ?? choices.invalidUtf8 ?? 'reject',
    nullAs: column?.nullAs ?? null,
    rejectsAllowed: table?.rejects === 'allow' || choices.rejects === 'allow' || chosen.includes('reject'),
  }
}

/** Writes a first file of choices with one entry for each column that the plan has a doubt about; an existing file stays as it is. */
export const writeChoices = (plan: MovePlan, path: string): 'written' | 'kept' => {
  if (existsSync(path)) return 'kept'
  const tables: Record<string, { columns: Record<string, ColumnChoice> }> = {}
  for (const { table, column } of plan.hazards) {
    if (column === null) continue
    tables[table] ??= { columns: {} }
    tables[table].columns[column] = {}
  }
  const $comment =
    'Choices for this move. Per column: type, rename, truthy, falsy, epoch, timeZone, nullAs, badValue, nulBytes, invalidUtf8. See docs/move.md.'
  writeFileSync(path, `${JSON.stringify({ $comment, version: 1, timeZone: 'UTC', tables }, null, 2)}\n`, { flag: 'wx' })
  return 'written'
}
