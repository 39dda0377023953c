/** Requests act in Postgres as whoever sent them, so that row security decides what they see and change (C21, C76). */
import type { Pool, Position } from 'tidemark'
import type { WrittenAt } from 'tidemark/app'
import type { Caller } from './access.js'
import { refusing } from './reanna-error.js'
import type { Db } from './rows.js'

export interface CallerDatabase {
  /** In one transaction. */
  write<T>(caller: Caller, fn: (db: Db) => Promise<T>): Promise<WrittenAt<T>>
  /** In one snapshot. */
  read<T>(caller: Caller, fn: (db: Db) => Promise<T>): Promise<T>
}

export interface CallerDatabaseOptions {
  /** Of a login that may become the roles of callers. */
  readonly pool: Pick<Pool, 'transaction'>
  /** Called when something was committed: gives its position once caches here do not show what was before. */
  readonly settled?: () => Promise<Position | undefined>
}

const settingsOf = ({ role, claims }: Caller): Readonly<Record<string, string>> => ({
  role,
  'request.jwt.claims': JSON.stringify(claims),
})

export const createCallerDatabase = ({ pool, settled = async () => undefined }: CallerDatabaseOptions): CallerDatabase => ({
  write: async (caller, fn) => {
    const result = await refusing(pool.transaction(fn, { settings: settingsOf(caller) }))
    const position = await settled()
    return { result, ...(position && { position }) }
  },
  read: (caller, fn) =>
    refusing(pool.transaction(fn, { settings: settingsOf(caller), readOnly: true, isolation: 'repeatable read' })),
})
