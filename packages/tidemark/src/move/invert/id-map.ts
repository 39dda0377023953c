/** The uuids that the copy gave to identifiers of the file, read back from `tidemark.move_id_map` a batch at a time. */
import type pg from 'pg'
import type { LegacyIds } from './invert.js'

/** What statements are run through. */
export interface Asker {
  query<T extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult<T>>
}

export interface IdMap extends LegacyIds {
  /** Reads what is not known yet of these uuids, by namespace. */
  learn(wanted: ReadonlyMap<string, ReadonlySet<string>>): Promise<void>
}

const idsPerQuery = 5000

/** `maxIds` bounds what is remembered between two batches. */
export const createIdMap = (client: Asker, maxIds = 100_000): IdMap => {
  /** By namespace and uuid; null where there is none. */
  const known = new Map<string, string | null>()
  const nameOf = (namespace: string, uuid: string) => `${namespace} ${uuid}`

  const read = async (namespace: string, uuids: readonly string[]): Promise<void> => {
    const { rows } = await client.query<{ id: string; legacy_id: string }>(
      'SELECT id::text, legacy_id FROM tidemark.move_id_map WHERE namespace = $1 AND id = ANY ($2::uuid[])',
      [namespace, uuids],
    )
    for (const uuid of uuids) known.set(nameOf(namespace, uuid), null)
    for (const { id, legacy_id } of rows) known.set(nameOf(namespace, id), legacy_id)
  }

  return {
    find: (namespace, uuid) => known.get(nameOf(namespace, uuid)) ?? undefined,
    learn: async (wanted) => {
      if (known.size > maxIds) known.clear()
      for (const [namespace, uuids] of wanted) {
        const unknown = [...uuids].filter((uuid) => !known.has(nameOf(namespace, uuid)))
        for (let at = 0; at < unknown.length; at += idsPerQuery) await read(namespace, unknown.slice(at, at + idsPerQuery))
      }
    },
  }
}
