import { TidemarkError } from '../../errors.js'
import type { Binding } from '../realtime.js'
import type { CompileFilter } from './filters/compile-filter.js'
import type { FilterTest } from './filters/filter-test.js'
import { type FilterTerm, parseFilter } from './filters/filter-text.js'
import type { ToldTables } from './keep/told-tables.js'
import type { Bound } from './listen/binding-index.js'
import type { Selection } from './values/relation-facts.js'
import type { TableCatalogue } from './values/table-catalogue.js'
import type { Visibility } from './visibility-port.js'

export interface ResolveContext {
  readonly tables: ToldTables
  readonly catalogue: TableCatalogue
  readonly compile: CompileFilter
  readonly visibility: Pick<Visibility, 'readable'>
}

/** A binding that was found to be one, without its listener. */
export type Resolved = Omit<Bound<never>, 'listener' | 'binding'>

const everything = '*'
const none: readonly never[] = []
const tableOf = ({ table }: Binding): string | undefined => (table === undefined || table === everything ? undefined : table)

const termText = ({ column, operator, value, negated }: FilterTerm): string =>
  `{${JSON.stringify(column)}, ${JSON.stringify(operator)}, ${JSON.stringify(operator === 'in' ? `{${value}}` : value)}, ${negated}}`

/** As Supabase names what was asked for. */
const parametersOf = (binding: Binding, terms: readonly FilterTerm[]): string => {
  const { event, schema, select } = binding
  const filters = terms.map(termText).join(', ')
  const selected = select === undefined ? 'nil' : `[${select.map((column) => JSON.stringify(column)).join(', ')}]`
  return `[event: ${event}, schema: ${schema}, table: ${tableOf(binding) ?? everything}, filters: [${filters}], select: ${selected}]`
}

const refused = (what: string): TidemarkError<'TM_REALTIME_BINDING'> =>
  new TidemarkError('TM_REALTIME_BINDING', { reason: `Unable to subscribe to changes with given parameters. ${what}` })

const notEnabled = (parameters: string) =>
  refused(`Please check Realtime is enabled for the given connect parameters: ${parameters}`)
const invalid = (parameters: string, reason: string) =>
  refused(`An exception happened so please check your connect parameters: ${parameters}. Exception: ${reason}`)

/** What one listener may ask for: each condition may be a question to Postgres, which everybody else's changes wait for, too. */
const maxBindings = 100
const maxConditions = 200

/** Raises TM_REALTIME_BINDING where more is asked for than one listener may, and TM_REALTIME_FILTER. */
export const checkBindings = (bindings: readonly Binding[]): void => {
  if (bindings.length > maxBindings) throw refused(`More than ${maxBindings} bindings are asked for.`)
  const conditions = bindings.reduce((sum, { filter }) => sum + parseFilter(filter).length, 0)
  if (conditions > maxConditions) throw refused(`Filters have more than ${maxConditions} conditions in all.`)
}

const isKnown = ({ tables }: ResolveContext, { schema }: Binding, table: string | undefined): boolean => {
  if (table !== undefined && schema !== everything) return tables.has(schema, table)
  return tables.some(schema === everything ? undefined : schema)
}

const events: readonly Binding['event'][] = ['*', 'INSERT', 'UPDATE', 'DELETE']

/** Selections by their columns: equal ones are one object in a process. */
export class Selections {
  readonly #known = new Map<string, WeakRef<Selection>>()

  of(select: readonly string[] | undefined): Selection | undefined {
    if (select === undefined || select.length === 0) return undefined
    const columns = [...new Set(select)].sort()
    const key = JSON.stringify(columns)
    const known = this.#known.get(key)?.deref()
    if (known) return known
    if (this.#known.size > 1_000) for (const [other, ref] of this.#known) if (!ref.deref()) this.#known.delete(other)
    const selection = { columns: new Set(columns) }
    this.#known.set(key, new WeakRef(selection))
    return selection
  }
}

const compileTests = async (
  context: ResolveContext,
  role: string,
  binding: Binding & { readonly table: string },
  terms: readonly FilterTerm[],
): Promise<readonly FilterTest[]> => {
  const { schema, table, select } = binding
  const parameters = parametersOf(binding, terms)
  const [facts, readable] = await Promise.all([
    context.catalogue.find(schema, table),
    context.visibility.readable(role, { schema, table }),
  ])
  if (!facts) throw notEnabled(parameters)
  if (readable.columns.size === 0) throw invalid(parameters, `permission denied for table ${table}`)
  const tests: FilterTest[] = []
  for (const term of terms) {
    const column = facts.columns.get(term.column)
    if (!column || !readable.columns.has(term.column)) throw invalid(parameters, `invalid column for filter ${term.column}`)
    tests.push(await context.compile(term, column))
  }
  const unknown = select?.find((column) => !facts.columns.has(column) || !readable.columns.has(column))
  if (unknown !== undefined) throw invalid(parameters, `invalid column for select ${unknown}`)
  return tests
}

/**
 * Finds out what a binding asks for, and whether the role may ask for it. Raises TM_REALTIME_BINDING and TM_REALTIME_FILTER in the words of
 * Supabase Realtime, and TM_POSTGRES_*.
 */
export const resolveBinding = async (
  context: ResolveContext,
  selections: Selections,
  role: string,
  binding: Binding,
): Promise<Resolved> => {
  const { event, schema, select } = binding
  const table = tableOf(binding)
  const terms = parseFilter(binding.filter)
  if (!events.includes(event)) throw refused(`There is no event ${JSON.stringify(event).slice(0, 100)}.`)
  const isWild = table === undefined || schema === everything
  if (isWild && select !== undefined && select.length > 0) {
    const reason = 'Column selection is not supported for wildcard subscriptions. Provide an explicit schema and table name.'
    throw new TidemarkError('TM_REALTIME_BINDING', { reason })
  }
  if (isWild && terms.length > 0) {
    const reason = 'Filters are not supported for wildcard subscriptions. Provide an explicit schema and table name.'
    throw new TidemarkError('TM_REALTIME_FILTER', { reason })
  }
  if (schema === everything && table !== undefined) throw notEnabled(parametersOf(binding, terms))
  if (!isKnown(context, binding, table)) {
    // The application may have put it into the publication just now.
    await context.tables.refresh()
    if (!isKnown(context, binding, table)) throw notEnabled(parametersOf(binding, terms))
  }
  const tests = table === undefined ? none : await compileTests(context, role, { ...binding, table }, terms)
  return { event, schema, table, tests: tests.length > 0 ? tests : none, selection: selections.of(select) }
}
