/** Statements in Kysely's words, typed by the tables, and run as whoever an application acts for. */
import { type CompiledQuery, DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type { Client, QueryResult } from '../postgres/postgres.js'

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
