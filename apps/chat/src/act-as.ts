import type { Db } from './rows.js'

/** Tells the audit who acts, and in which request; lasts as long as the transaction. */
export const actAs = async (db: Db, userId: string, requestId = ''): Promise<void> => {
  await db.query("select set_config('request.jwt.claims', $1, true), set_config('app.request_id', $2, true)", [
    JSON.stringify({ sub: userId, role: 'authenticated' }),
    requestId,
  ])
}
