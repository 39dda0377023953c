/** The mirror's connection to Postgres, made again where it was lost. */
import type pg from 'pg'
import { type ConnectOptions, connectPostgres } from '../../postgres/connect.js'
import { parseConnection } from '../../postgres/connection.js'
import { isConnectionLoss, toPostgresError } from '../../postgres/postgres-error.js'
import type { Asker } from '../invert/id-map.js'
import { textSettings } from '../invert/target-texts.js'

export const connectMirror = async (target: ConnectOptions): Promise<pg.Client> => {
  const client = await connectPostgres({ ...target, name: 'mirror' })
  await client.query(`${textSettings}; SET statement_timeout = 0`)
  return client
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
