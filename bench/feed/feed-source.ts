/** The table whose changes are followed, and a source that gives them to this process alone. */
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { TransactionPiece } from '../../packages/tidemark/dist/feed/feed.js'
import type { Position } from '../../packages/tidemark/dist/feed/position.js'
import { createWalSource, type WalSource } from '../../packages/tidemark/dist/feed/sources/wal/wal-source.js'

export const publication = 'tidemark_bench'
export const followed = { schema: 'public', table: 'changes' } as const

export const openSource = (url: string): WalSource =>
  createWalSource({
    target: { url },
    slot: { name: `bench_${randomBytes(3).toString('hex')}`, temporary: true },
    publication,
    tables: [followed],
  })

/** Takes pieces until `take` says that it is enough. */
export const follow = async (source: WalSource, from: Position, take: (piece: TransactionPiece) => boolean): Promise<void> => {
  const enough = new AbortController()
  for await (const event of source.events(enough.signal, from)) {
    if (event.type === 'transaction' && take(event)) break
  }
  enough.abort()
}

/** How old the rows of the paced writer are when they are here, in milliseconds by this machine's clock; true once its last one came. */
export const takeAges = ({ changes }: Pick<TransactionPiece, 'changes'>, ages: number[]): boolean => {
  for (const { new: row } of changes) {
    const sentAt = Number(row?.[3])
    if (sentAt > 0) ages.push(performance.timeOrigin + performance.now() - sentAt)
    if (sentAt < 0) return true
  }
  return false
}

/** In order, without the first tenth: connections and code that is run for the first time. */
export const settledAges = (ages: readonly number[]): readonly number[] =>
  ages.slice(Math.floor(ages.length / 10)).sort((a, b) => a - b)

/** Many small transactions, in one statement of the procedure's. */
export const insertInSteps = (client: pg.Client, rows: number): Promise<unknown> =>
  client.query('CALL write_changes($1::bigint, 100)', [rows])
