import type { Db } from './rows.js'

const acting = `select set_config('request.jwt.claims', $1, true), set_config('app.request_id', $2, true), set_config('tidemark.request_id', $2, true)`

/** Tells the audit who acts, and in which request; lasts as long as the transaction. */
export const actAs = async (db: Db, userId: string, requestId = ''): Promise<void> => {
  await db.query(acting, [JSON.stringify({ sub: userId, role: 'authenticated' }), requestId])
}
