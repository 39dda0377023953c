/** A backlog of changes, made while nobody follows, and how long it takes to bring them over: by Tidemark, and by what one would write by hand. */
import type pg from 'pg'
import type { LiveCommands } from './live-commands.ts'
import { type MoveSides, until } from './move-sides.ts'
import type { AppFile } from './write-kinds.ts'

/** What one round gave, in milliseconds. */
export interface CatchUpRound {
  /** Entries of the log. */
  readonly changes: number
  readonly batchedMs: number
  /** From the first transaction of the follower to its last, and what it brought over in between. */
  readonly followMs: number
  readonly followed: number
  /** The whole command, from the start of its process. */
  readonly commandMs: number
}

const rowsPerTransaction = 100
const rowsPerUpsert = 1000

const columns = ['id', 'code', 'name', 'amount', 'quantity', 'created', 'note']
const types = ['bigint', 'text', 'text', 'double precision', 'bigint', 'text', 'text']

/** A table of its own for the rival, with the rows that were copied and the same key. */
export const prepareBatchedUpserts = async (client: pg.Client): Promise<void> => {
  await client.query(
    'CREATE SCHEMA by_hand; CREATE TABLE by_hand.orders AS TABLE orders; ALTER TABLE by_hand.orders ADD PRIMARY KEY (id)',
  )
  await client.query('ANALYZE by_hand.orders')
}

/** Before anybody follows: what was compared is soon taken out of the log. */
const changedKeys = ({ db }: MoveSides, after: number): readonly number[] => {
  const sql =
    'SELECT DISTINCT k0 FROM _tidemark_log WHERE seq > ? AND t = (SELECT id FROM _tidemark_tables WHERE name = ?) ORDER BY k0'
  return db.prepare<[number, string], number>(sql).pluck().all(after, 'orders')
}

/** Upserts and deletes of a thousand rows at a time, as a script of some care would do it. It fences nothing and could not go on where it stopped. */
const batchedUpserts = async ({ client, db }: MoveSides, keys: readonly number[]): Promise<number> => {
  const started = performance.now()
  const find = db.prepare<[number], unknown[]>(`SELECT ${columns.join(', ')} FROM orders WHERE id = ?`).raw(true)
  const set = columns.slice(1).map((name) => `${name} = excluded.${name}`)
  const arrays = types.map((type, i) => `$${i + 1}::${type}[]`)
  const upsert = `INSERT INTO by_hand.orders SELECT * FROM unnest(${arrays.join(', ')}) ON CONFLICT (id) DO UPDATE SET ${set.join(', ')}`
  for (let at = 0; at < keys.length; at += rowsPerUpsert) {
    const some = keys.slice(at, at + rowsPerUpsert)
    const rows = some.map((id) => find.get(id))
    const gone = some.filter((_, i) => rows[i] === undefined)
    const there = rows.filter((row) => row !== undefined)
    await client.query('BEGIN')
    if (gone.length > 0) await client.query('DELETE FROM by_hand.orders WHERE id = ANY ($1)', [gone])
    await client.query({ name: 'by-hand', text: upsert, values: columns.map((_, i) => there.map((row) => row[i])) })
    await client.query('COMMIT')
  }
  return performance.now() - started
}

interface Followed {
  readonly followMs: number
  readonly followed: number
  readonly commandMs: number
}

const follow = async (sides: MoveSides, commands: LiveCommands, after: number, signal: AbortSignal): Promise<Followed> => {
  const head = sides.logHead()
  const started = performance.now()
  const conductor = commands.follow()
  try {
    let [firstAt, firstSeq] = [started, after]
    const isAtHead = async (): Promise<boolean> => {
      const seq = await sides.appliedSeq()
      // A backlog of one transaction has no time between the first and the last.
      if (firstSeq === after && seq > after && seq < head) [firstAt, firstSeq] = [performance.now(), seq]
      return seq >= head
    }
    await until(isAtHead, { what: 'the follower at the head of the log', signal })
    const ended = performance.now()
    return { followMs: ended - firstAt, followed: head - firstSeq, commandMs: ended - started }
  } finally {
    await conductor.stop()
  }
}

/** The rival and Tidemark bring over the same changes; who begins changes from round to round. */
export const catchUpRound = async (
  sides: MoveSides,
  app: AppFile,
  { commands, changes, round, signal }: { commands: LiveCommands; changes: number; round: number; signal: AbortSignal },
): Promise<CatchUpRound> => {
  const after = sides.logHead()
  app.write('mix', changes, rowsPerTransaction)
  const keys = changedKeys(sides, after)
  const logged = sides.logHead() - after
  await sides.settle()
  const isFirst = round % 2 === 1
  const before = isFirst ? await batchedUpserts(sides, keys) : 0
  const followed = await follow(sides, commands, after, signal)
  const batchedMs = isFirst ? before : await batchedUpserts(sides, keys)
  return { changes: logged, batchedMs, ...followed }
}
