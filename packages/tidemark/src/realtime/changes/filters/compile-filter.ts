import { reasonOf, TidemarkError } from '../../../errors.js'
import type { Pool } from '../../../postgres/postgres.js'
import { sqlstateOf } from '../../../postgres/postgres-error.js'
import type { ColumnFacts } from '../values/table-catalogue.js'
import { elementsStatement, operandStatement, testSettings, testStatement } from './filter-sql.js'
import { type FilterTest, isWord, localTest, type Operand, remoteTest } from './filter-test.js'
import type { FilterOperator, FilterTerm } from './filter-text.js'

const refused = (reason: string, cause?: unknown): TidemarkError<'TM_REALTIME_FILTER'> =>
  new TidemarkError('TM_REALTIME_FILTER', { reason }, { cause })

const boolOid = 16
const maxElements = 100
const timeoutMs = 1_000

/** Operands that are written as Postgres writes them: nothing has to be asked. */
const canonical = new Map<number, RegExp>([
  [20, /^(0|-?[1-9]\d{0,17})$/],
  [21, /^(0|-?[1-9]\d{0,3})$/],
  [23, /^(0|-?[1-9]\d{0,8})$/],
  [25, /^/],
  [1043, /^/],
  [2950, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/],
])

/** A list without quotes, escapes, inner lists, blanks at its ends and nulls. */
const plainList = /^[^"\\{}\s,]+(,[^"\\{}\s,]+)*$/

const isCanonical = (oid: number, value: string): boolean => canonical.get(oid)?.test(value) ?? false

const serverMessage = (error: unknown): string => {
  let found = error
  while (found instanceof Error && found.cause !== undefined) found = found.cause
  return reasonOf(found)
}

const patterns: readonly FilterOperator[] = ['like', 'ilike', 'match', 'imatch']

/** Asks Postgres what a filter means. */
class FilterCompiler {
  readonly #pool: Pick<Pool, 'batch'>

  constructor(pool: Pick<Pool, 'batch'>) {
    this.#pool = pool
  }

  async compile(term: FilterTerm, column: ColumnFacts): Promise<FilterTest> {
    if (term.operator === 'is') this.#checkWord(term, column)
    const operand = await this.#operand(term, column)
    const local = localTest(term, column, operand)
    if (local) return local
    const remote = remoteTest(term, column)
    await this.#probe(remote)
    return remote
  }

  #checkWord({ value }: FilterTerm, { type }: ColumnFacts): void {
    if (!isWord(value)) throw refused('invalid value for is filter: must be null, true, false, or unknown')
    if (value !== 'null' && type.baseOid !== boolOid)
      throw refused(`is ${value} filter requires a boolean column, got ${type.name}`)
  }

  async #operand({ operator, value }: FilterTerm, { type }: ColumnFacts): Promise<Operand> {
    const { baseOid, sqlName } = type
    if (operator === 'in') {
      const plain = plainList.test(value) && !/(^|,)null(,|$)/i.test(value) ? value.split(',') : undefined
      const elements = plain?.every((element) => isCanonical(baseOid, element))
        ? plain
        : (await this.#ask(type, elementsStatement(sqlName, `{${value}}`))).map(([element = null]) => element)
      if (elements.length > maxElements) throw refused('too many values for `in` filter. Maximum 100')
      return elements
    }
    if (operator === 'is' || patterns.includes(operator) || isCanonical(baseOid, value)) return value
    const [row] = await this.#ask(type, operandStatement(sqlName, value))
    return row?.[0] ?? value
  }

  async #ask(type: ColumnFacts['type'], statement: ReturnType<typeof operandStatement>) {
    try {
      const [answer] = await this.#pool.batch([statement], testSettings(type, timeoutMs))
      return answer?.rows ?? []
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      throw refused(serverMessage(error), error)
    }
  }

  /** What fails on its own operand would fail on every change. */
  async #probe(test: ReturnType<typeof remoteTest>): Promise<void> {
    try {
      await this.#pool.batch([testStatement(test, [test.operator === 'in' ? null : test.operand])], testSettings(test, timeoutMs))
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      const { operator, column, sqlType } = test
      throw refused(
        `operator ${operator} is not supported on column ${column} of type ${sqlType}: ${serverMessage(error)}`,
        error,
      )
    }
  }
}

/** Turns a condition into a test of a column's values. Raises TM_REALTIME_FILTER, and TM_POSTGRES_* where Postgres cannot be asked. */
export type CompileFilter = (term: FilterTerm, column: ColumnFacts) => Promise<FilterTest>

/** Asks the pool's database. */
export const createFilterCompiler = (pool: Pick<Pool, 'batch'>): CompileFilter => {
  const compiler = new FilterCompiler(pool)
  return (term, column) => compiler.compile(term, column)
}
