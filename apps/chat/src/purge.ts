import { purgeSessions } from './sessions.js'
import type { ChatWrites } from './writes.js'

const batch = 100

/**
 * Removes deleted chats that can no longer be taken back. Gives how many went. Several servers may purge side by side: each takes rows that no
 * other has. An aborted signal ends it after a batch.
 */
export const purge = async (writes: ChatWrites, signal?: AbortSignal): Promise<number> => {
  let removed = 0
  for (let last = batch; last === batch && !signal?.aborted; removed += last)
    last = (await writes.write((db) => purgeSessions(db, batch))).result
  return removed
}
