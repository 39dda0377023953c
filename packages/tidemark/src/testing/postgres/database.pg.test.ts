import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { adminUrl, createTestDatabase } from './database.js'

const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url, application_name: 'database-test' })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

describe('a test database', () => {
  let prepared = 0
  const template = {
    name: 'database_test',
    prepare: async (url: string) => {
      prepared += 1
      const client = await connect(url)
      await client.query('create table note (text text)')
      await client.end()
    },
  }
  const opened: { drop(): Promise<void> }[] = []
  const create = async (options?: Parameters<typeof createTestDatabase>[0]) => {
    const database = await createTestDatabase(options)
    opened.push(database)
    return database
  }
  afterAll(async () => {
    for (const database of opened) await database.drop()
  })

  it('is a clone of its template, which is prepared once', async () => {
    const databases = await Promise.all([create({ template }), create({ template }), create({ template })])
    expect(prepared).toBe(1)
    for (const { url } of databases) {
      const client = await connect(url)
      expect((await client.query('select * from note')).rowCount).toBe(0)
      await client.query(`insert into note values ('only here')`)
      await client.end()
    }
  })

  it('names the connections that were left open when it is dropped, and is gone nevertheless', async () => {
    const database = await createTestDatabase()
    const client = await connect(database.url)
    await client.query('select 1 as left_behind')
    await expect(database.drop(300)).rejects.toThrow(/1 connection\(s\).*left open.*left_behind/s)
    const admin = await connect(adminUrl())
    expect((await admin.query('select from pg_database where datname = $1', [database.name])).rowCount).toBe(0)
    await admin.end()
  })

  it('takes its replication slots with it', async () => {
    const database = await createTestDatabase()
    const client = await connect(database.url)
    await client.query(`select pg_create_logical_replication_slot($1, 'test_decoding')`, [database.name])
    await client.end()
    await database.drop()
    const admin = await connect(adminUrl())
    expect((await admin.query('select from pg_replication_slots where slot_name = $1', [database.name])).rowCount).toBe(0)
    await admin.end()
  })
})
