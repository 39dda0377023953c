/** Old rows have to tell the columns that make keys (FEED-5). */
import { reasonOf } from '../../errors.js'
import { readIdentities, setReplicaIdentity } from '../../feed/replica-identity.js'
import { tableIdOf } from '../../feed/table-id.js'
import type { Logger } from '../../observability/observability.js'

/** Who waits for a lock keeps all others waiting behind it; so not for long. */
const lockTimeoutMs = 3000

/**
 * Sets replica identities where old rows do not tell the columns; an index that holds them suffices. Where that may not be, a warning says what
 * follows: an update takes all keys of an entry. Needs a connection of its own.
 */
export const keepOldColumns = async (
  client: Parameters<typeof readIdentities>[0],
  needed: ReadonlyMap<string, readonly string[]>,
  log: Logger,
): Promise<void> => {
  await client.query(`set lock_timeout = ${lockTimeoutMs}`)
  for (const [name, columns] of needed) {
    for (const identity of await readIdentities(client, tableIdOf(name))) {
      const lacking = identity.columns && columns.some((column) => !identity.columns!.includes(column))
      if (!lacking) continue
      await setReplicaIdentity(client, identity, 'full').catch((error: unknown) =>
        log.warn(
          'each update takes all cached values that follow this table: its old rows do not tell the columns of their keys',
          {
            table: name,
            reason: reasonOf(error),
            fix: `ALTER TABLE ${name} REPLICA IDENTITY FULL`,
          },
        ),
      )
    }
  }
}
