import { formatPosition, type Position, parsePosition } from '../position.js'

/** Whatever carries statements within a transaction: a node-postgres client, or one of ours. */
export interface PositionClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** Where a durable follower is, kept in the database that it writes to. */
export interface FollowerPosition {
  get(client: PositionClient): Promise<Position | null>
  /**
   * Writes it down, best as the first statement of the transaction that also does the work: whoever else does the same work waits. False where
   * this position or a later one of its epoch is there already: the work was done, roll back and go on.
   */
  set(client: PositionClient, position: Position): Promise<boolean>
  /** As if it had never read. */
  forget(client: PositionClient): Promise<void>
}

/** The position of the follower of that name, in tidemark.feed_followers. */
export const followerPosition = (name: string): FollowerPosition => ({
  get: async (client) => {
    const { rows } = await client.query('select position from tidemark.feed_followers where name = $1', [name])
    const [row] = rows as readonly { readonly position: string }[]
    return row ? parsePosition(row.position) : null
  },
  set: async (client, position) => {
    const text = formatPosition(position)
    const { rows: made } = await client.query(
      'insert into tidemark.feed_followers (name, position) values ($1, $2) on conflict (name) do nothing returning name',
      [name, text],
    )
    if (made.length > 0) return true
    const { rows } = await client.query('select position from tidemark.feed_followers where name = $1 for update', [name])
    const [row] = rows as readonly { readonly position: string }[]
    const before = row ? parsePosition(row.position) : null
    if (before !== null && before.epoch === position.epoch && before.number >= position.number) return false
    await client.query('update tidemark.feed_followers set position = $2, updated_at = now() where name = $1', [name, text])
    return true
  },
  forget: async (client) => {
    await client.query('delete from tidemark.feed_followers where name = $1', [name])
  },
})

/** The positions of all durable followers, for `FeedOptions.storedPositions`. */
export const storedPositions = async (client: PositionClient): Promise<readonly Position[]> => {
  const { rows } = await client.query('select position from tidemark.feed_followers order by name')
  return (rows as readonly { readonly position: string }[]).map(({ position }) => parsePosition(position))
}
