/**
 * Where the app writes: a row, what frontends are told of it in the same transaction, so that both are there or neither, and then the second
 * database.
 */
import type { Position, RelayMessage } from 'tidemark'
import type { Caller } from '../access.js'
import type { Db } from '../repository/rows.js'
import type { Secondary } from './secondary.js'

export type Announce = (messages: readonly RelayMessage[]) => Promise<void>

export interface Written<T> {
  readonly result: T
  /** The second database has not got it yet; it will. */
  readonly degraded: boolean
  readonly position?: Position
}

/** A request, of whose caller the audit tells. */
export interface Asking {
  readonly caller: Caller
  readonly id: string
}

export interface Writes {
  /** Without a request it is the server itself that writes. */
  write<T>(fn: (db: Db, announce: Announce) => Promise<T>, request?: Asking): Promise<Written<T>>
}

export interface WritesOptions {
  /** Runs one transaction. */
  readonly transaction: <T>(fn: (db: Db) => Promise<T>) => Promise<{ readonly result: T; readonly position?: Position }>
  /** Writes down what is to be told, within the transaction; undefined where nobody is told. */
  readonly tell?: ((db: Db, messages: readonly RelayMessage[]) => Promise<void>) | undefined
  /** Called after a commit in which something was written down. */
  readonly told?: () => void
  readonly secondary?: Pick<Secondary, 'settle'> | undefined
}

const acting = `select set_config('request.jwt.claims', $1, true), set_config('tidemark.request_id', $2, true)`

const actAs = async (db: Db, { caller, id }: Asking): Promise<void> => {
  const { role, userId } = caller
  await db.query(acting, [JSON.stringify({ role, ...(userId !== null && { sub: userId }) }), id])
}

export const createWrites = ({ transaction, tell, told = () => {}, secondary }: WritesOptions): Writes => ({
  write: async (fn, request) => {
    let hasTold = false
    const written = await transaction(async (db) => {
      if (request) await actAs(db, request)
      return fn(db, async (messages) => {
        if (!tell || messages.length === 0) return
        hasTold = true
        await tell(db, messages)
      })
    })
    if (hasTold) told()
    return { ...written, degraded: secondary ? !(await secondary.settle()) : false }
  },
})
