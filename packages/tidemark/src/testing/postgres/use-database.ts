/** What a test file takes before its tests and gives back after them. */
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { nameTestDatabase, type TestDatabase, type TestDatabaseOptions } from './database.js'

/** A database of this file, or of the `describe` that it is called in. */
export const useDatabase = (options?: TestDatabaseOptions): Omit<TestDatabase, 'create' | 'drop'> => {
  const database = nameTestDatabase(options)
  beforeAll(() => database.create())
  afterAll(() => database.drop())
  return database
}

/** A session in it, ended before the database is dropped. */
export const useClient = ({ url }: { readonly url: string }): pg.Client => {
  const client = new pg.Client({ connectionString: url })
  beforeAll(async () => {
    await client.connect()
  })
  afterAll(() => client.end())
  return client
}
