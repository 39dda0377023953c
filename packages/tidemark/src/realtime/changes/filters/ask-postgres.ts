import { reasonOf } from '../../../errors.js'
import type { Pool } from '../../../postgres/postgres.js'
import { sqlstateOf } from '../../../postgres/postgres-error.js'
import { testSettings, testStatement } from './filter-sql.js'
import type { RemoteTest } from './filter-test.js'

/** One condition and the values that it is asked about. */
export interface Inquiry {
  readonly test: RemoteTest
  readonly values: readonly (string | null)[]
}

/** Whether each value fulfils the condition, in their order; a text says why that cannot be told. */
export type Finding = readonly boolean[] | string

/** Asks Postgres whether values fulfil conditions. Rejects with TM_POSTGRES_* where Postgres cannot be asked at all. */
export type AskPostgres = (inquiries: readonly Inquiry[]) => Promise<readonly Finding[]>

/** A condition that takes longer than this for the values of a turn is asked about no more. */
const timeoutMs = 500

/** Each condition in a transaction of its own: one that fails leaves the others alone. */
export const createAskPostgres = (pool: Pick<Pool, 'batch'>): AskPostgres => {
  const ask = async ({ test, values }: Inquiry): Promise<Finding> => {
    try {
      const [answer] = await pool.batch([testStatement(test, values)], testSettings(test, timeoutMs))
      return (answer?.rows ?? []).map(([held]) => held === 't')
    } catch (error) {
      if (sqlstateOf(error) === undefined || /^(08|57P)/.test(sqlstateOf(error) ?? '')) throw error
      return reasonOf(error)
    }
  }
  return (inquiries) => Promise.all(inquiries.map(ask))
}
