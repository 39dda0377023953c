/** The mirror's connection to Postgres, made again where it was lost. */
import type pg from 'pg'
import { type ConnectOptions, connectPostgres } from '../../postgres/driver/connect.js'
import { parseConnection } from '../../postgres/driver/connection.js'
import { isConnectionLoss, toPostgresError } from '../../postgres/postgres-error.js'
import type { Asker } from '../invert/id-map.js'
import { textSettings } from '../invert/target-texts.js'

export const connectMirror = async (target: ConnectOptions): Promise<pg.Client> => {
  const client = await connectPostgres({ ...target, name: 'mirror' })
  await client.query(`${textSettings}; SET statement_timeout = 0`)
  return client
}

/** From here on the client reads what Postgres holds at this moment. Gives the snapshot. */
export const beginSnapshot = async (client: pg.Client): Promise<string> => {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const { rows } = await client.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot')
  return rows[0]!.snapshot
}

export class MirrorSession implements Asker {
  readonly #target: ConnectOptions
  #client: Promise<pg.Client> | undefined

  constructor(target: ConnectOptions) {
    this.#target = target
  }

  /** Runs a statement of its own. Raises TM_POSTGRES_*. */
  async query<T extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<pg.QueryResult<T>> {
    this.#client ??= connectMirror(this.#target)
    const connecting = this.#client
    try {
      const client = await connecting
      return await client.query<T>(sql, [...values])
    } catch (error) {
      const found = toPostgresError(error, parseConnection(this.#target.url, this.#target))
      if (isConnectionLoss(found)) await this.close()
      throw found
    }
  }

  /** Connects again with the next statement. */
  async close(): Promise<void> {
    const connecting = this.#client
    this.#client = undefined
    await connecting?.then((client) => client.end()).catch(() => undefined)
  }
}
