import { TidemarkError } from '../../../errors.js'
import type { Primary } from './primary.js'

/** Raised when the publication is no longer the one that was begun with. Has the SQLSTATE with which older servers say it themselves. */
class PublicationLostError extends Error {
  readonly code = '42704'
}

/** Ids of the publication, of what it does and, with their names, of its tables: what is taken out and put back has another id. */
export type PublicationState = readonly string[]

const stateSql = `
  select array[p.oid::text, concat(p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate)]
         || array(select concat(r.oid, ' ', n.nspname, '.', c.relname)
                    from pg_publication_rel r join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
                   where r.prpubid = p.oid order by r.oid)
         || array(select n.oid::text from pg_publication_namespace n where n.pnpubid = p.oid order by n.oid) as state
    from pg_publication p where p.pubname = $1`

export const noPublication = (publication: string): TidemarkError =>
  new TidemarkError('TM_FEED_PUBLICATION', { publication, reason: 'there is none of this name that lists its tables' })

/** Empty where there is no such publication. */
export const publicationState = async ({ client }: Primary, publication: string): Promise<PublicationState> => {
  const { rows } = await client.query<{ state: string[] }>({ name: 'publication', text: stateSql, values: [publication] })
  return rows[0]?.state ?? []
}

/** Names of tables, `schema.table`, where it is known which are to be followed. */
export type Wanted = ReadonlySet<string> | undefined

/** Whether something that was published is not any more. A table that nobody wants now is no loss. */
export const hasLost = (before: PublicationState, now: PublicationState, wanted: Wanted): boolean => {
  const parts = new Set(now)
  return before.some((part) => {
    const name = /^\d+ (.*)$/s.exec(part)?.[1]
    return !parts.has(part) && (name === undefined || wanted === undefined || wanted.has(name))
  })
}

/** Keeps what is published now with the slot, for the next one who reads it. */
export const notePublication = async ({ client }: Primary, slot: string, state: PublicationState): Promise<void> => {
  await client.query('update tidemark.feed_slots set publication = $2 where slot_name = $1', [slot, state])
}

export interface WatchOptions {
  readonly publication: string
  readonly slot: string
  readonly begun: PublicationState
  /** Asked where something is gone. */
  readonly wanted: () => Promise<Wanted>
}

/**
 * Whether the publication still holds what it held in the beginning: a table that is taken out (or dropped and made again) falls silent
 * without a word in the stream, and new servers go on even without the publication. Raises {@link PublicationLostError}.
 */
export const watchPublication = (primary: Primary, { publication, slot, begun, wanted }: WatchOptions): (() => Promise<void>) => {
  let before = begun
  return async () => {
    const now = await publicationState(primary, publication)
    if (hasLost(before, now, undefined) && hasLost(before, now, await wanted()))
      throw new PublicationLostError(`the publication ${publication} was changed while it was read`)
    if (now.length === before.length && !hasLost(before, now, undefined)) return
    before = now
    await notePublication(primary, slot, now)
  }
}
