/** Locks on all moved tables at once, had in short tries: who waits for one keeps others from the table, and might wait for them in turn. */
import type pg from 'pg'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { MovePlan } from '../move.js'
import { qualifiedName } from '../translate/translate.js'
import { blockersOf } from './blockers.js'

/** How long one try waits. Shorter than Postgres takes to look for deadlocks, so that no transaction of the application is ended for one. */
const tryMs = 250
const betweenMs = 50

/** Lock timeouts and deadlocks: another moment may be better. */
const passes = (error: unknown): boolean => /^(?:55P03|40P01)$/.test(sqlstateOf(error) ?? '')

export interface LockOptions {
  /** `ACCESS EXCLUSIVE` keeps readers away as well. */
  readonly mode: 'ACCESS EXCLUSIVE' | 'SHARE ROW EXCLUSIVE'
  /** Milliseconds that are left to try. */
  leftMs(): number
  /** The error for when they are over. */
  blocked(blockers: readonly string[], cause: unknown): unknown
}

/**
 * Begins a transaction in which every moved table is locked; the caller ends it. Tried again and again until the time is over: then the error
 * that names whoever is in the way.
 */
export const beginLocked = async (client: pg.Client, plan: MovePlan, { mode, leftMs, blocked }: LockOptions): Promise<void> => {
  const tables = plan.tables.map(({ targetSchema, target }) => qualifiedName({ schema: targetSchema, name: target }))
  for (;;) {
    await client.query('BEGIN')
    try {
      await client.query(`SET LOCAL lock_timeout = ${Math.max(1, Math.min(tryMs, Math.floor(leftMs())))}`)
      await client.query(`LOCK TABLE ${tables.join(', ')} IN ${mode} MODE`)
      return
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined)
      if (!passes(error)) throw error
      const blockers = await blockersOf(client, plan)
      if (leftMs() <= betweenMs) throw blocked(blockers, error)
    }
    await new Promise((resolve) => setTimeout(resolve, betweenMs))
  }
}
