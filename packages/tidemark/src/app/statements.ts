/** Statements in Kysely's words, typed by the tables, and run as whoever an application acts for. */
import {
  type CompiledQuery,
  DummyDriver,
  type Generated,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import type { Client, QueryResult } from '../postgres/postgres.js'

type Nullable<T> = { [K in keyof T]: null extends T[K] ? K : never }[keyof T]

/** A table by the rows that it shows: what may be null may be left out of an INSERT, and so may `K`, which have defaults. */
export type TableOf<T, K extends keyof T = never> = Omit<T, K | Nullable<T>> & {
  readonly [P in K | Nullable<T>]: Generated<T[P]>
}

/** Makes statements over the tables of a schema, and runs none. */
export const createStatements = <Tables>(schema = 'public'): Kysely<Tables> =>
  new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  }).withSchema(schema)

/** Runs a statement on a connection, a transaction or a pool. Raises TM_POSTGRES_*. */
export const runStatement = <Row>(
  db: Pick<Client, 'query'>,
  statement: { compile(): CompiledQuery<Row> },
): Promise<QueryResult<Row>> => {
  const { sql, parameters } = statement.compile()
  return db.query<Row>(sql, parameters)
}
