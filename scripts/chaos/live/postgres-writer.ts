/** The application after the cutover: writes to Postgres what sqlite-writer.py writes to SQLite, and remembers which commits it was told of. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { between, type Dice, oneOf } from '../random.ts'

const email = (dice: Dice): string => `user${between(dice, 1, 400)}@Example.com`
const anyId = (table: string): string => `(SELECT id FROM ${table} ORDER BY random() LIMIT 1)`

type Statement = readonly [sql: string, values?: readonly unknown[]]

const accounts = (dice: Dice): readonly Statement[] =>
  oneOf<readonly Statement[]>(dice, [
    [
      [
        'INSERT INTO accounts (email, balance) VALUES ($1, $2) ON CONFLICT DO NOTHING',
        [email(dice), between(dice, -1000, 2 ** 40)],
      ],
    ],
    [[`UPDATE accounts SET balance = balance + 1, note = $1 WHERE id % 7 = $2`, [`p${dice()}`, between(dice, 0, 6)]]],
    [[`DELETE FROM accounts WHERE id = ${anyId('accounts')}`]],
    [[`UPDATE accounts SET id = $1 WHERE id = ${anyId('accounts')}`, [between(dice, 100_000, 900_000)]]],
    [[`UPDATE accounts SET email = $1 WHERE id = ${anyId('accounts')}`, [email(dice)]]],
  ])

const items = (dice: Dice): readonly Statement[] =>
  oneOf<readonly Statement[]>(dice, [
    [[`INSERT INTO items (account_id, sku, qty, price) SELECT id, $1, $2, $3 FROM accounts ORDER BY random() LIMIT 1`,
      [dice() < 0.1 ? null : `sku-${between(dice, 1, 600)}`, between(dice, 0, 99), dice() * 1e6]]],
    [[`UPDATE items SET qty = NULL, price = price / 3 WHERE account_id = ${anyId('accounts')}`]],
    [[`DELETE FROM items WHERE id = ${anyId('items')}`]],
  ]) // biome-ignore format: one statement to a line

const rest = (dice: Dice): readonly Statement[] =>
  oneOf<readonly Statement[]>(dice, [
    [['INSERT INTO tags VALUES ($1, $2, $3) ON CONFLICT (item, tag) DO UPDATE SET weight = excluded.weight',
      [between(dice, 1, 60), `tag${between(dice, 1, 9)}`, oneOf(dice, [null, 0.30000000000000004, 1e300, -5])]]],
    [['DELETE FROM tags WHERE item = $1', [between(dice, 1, 60)]]],
    [['INSERT INTO codes (code, body, hits) VALUES ($1, $2, 0) ON CONFLICT (code) DO UPDATE SET body = excluded.body',
      [`c${between(dice, 1, 200)}`, Buffer.from(String(dice()))]]],
    [['UPDATE codes SET code = $1 WHERE code = $2', [`c${between(dice, 1, 200)}`, `c${between(dice, 1, 200)}`]]],
    [['DELETE FROM codes WHERE code = $1', [`c${between(dice, 1, 200)}`]]],
    [['INSERT INTO notes VALUES ($1, $2)', [`note ${between(dice, 1, 5)}`, between(dice, 1, 3)]]],
    [['DELETE FROM notes WHERE ctid = (SELECT ctid FROM notes ORDER BY random() LIMIT 1)']],
    [['UPDATE notes SET n = n + 1 WHERE ctid = (SELECT ctid FROM notes ORDER BY random() LIMIT 1)']],
  ]) // biome-ignore format: one statement to a line

export interface PostgresWriter {
  readonly name: string
  /** Stops after the transaction under way. */
  stop(): Promise<void>
  readonly accepted: ReadonlySet<number>
  /** Commits whose answer never came. */
  readonly unknown: ReadonlySet<number>
  /** Commits that were refused because Postgres takes no writes. */
  readonly refused: () => number
}

/** With an SQLSTATE nothing was kept; without one the connection broke. A session that is ended (57P) may be so just after its commit. */
const isRefusal = (error: unknown): boolean => /^(?!57P)[0-9A-Z]{5}$/.test(String((error as pg.DatabaseError).code))

const connect = async (url: string): Promise<pg.Client | undefined> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => undefined)
  return client.connect().then(
    () => client,
    () => undefined,
  )
}

/** Writes until it is stopped, over whatever happens to the server. `url` is asked anew for each connection. */
export const startPostgresWriter = (url: () => Promise<string>, writer: string, dice: Dice, rate = 150): PostgresWriter => {
  const accepted = new Set<number>()
  const unknown = new Set<number>()
  let [refused, going, n] = [0, true, 0]

  const transaction = async (client: pg.Client): Promise<void> => {
    n++
    let committing = false
    try {
      await client.query('BEGIN')
      for (let i = between(dice, 1, 3); i > 0; i--)
        for (const [sql, values] of oneOf(dice, [accounts, items, rest, rest])(dice)) await client.query(sql, values as unknown[])
      await client.query('INSERT INTO ledger (writer, n) VALUES ($1, $2)', [writer, n])
      committing = true
      await client.query('COMMIT')
      accepted.add(n)
    } catch (error) {
      if ((error as pg.DatabaseError).code === 'TM001') refused++
      else if (committing && !isRefusal(error)) unknown.add(n)
      await client.query('ROLLBACK')
      await pause(10)
    }
  }

  const run = async (): Promise<void> => {
    while (going) {
      const client = await connect(await url())
      try {
        while (client && going) {
          await transaction(client)
          await pause((dice() * 2000) / rate)
        }
      } catch {
        // The connection is gone; the next one goes on.
      } finally {
        await client?.end().catch(() => undefined)
      }
      if (going) await pause(100)
    }
  }

  const running = run()
  return {
    name: writer,
    accepted,
    unknown,
    refused: () => refused,
    stop: async () => {
      going = false
      await running
    },
  }
}
