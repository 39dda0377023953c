import type pg from 'pg'
import { afterEach, beforeAll } from 'vitest'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import { type Nodes, type Servers, useNodes } from './use-nodes.js'

export interface Stage extends Servers, Nodes {
  /** A writer that knows of no cache. */
  readonly client: pg.Client
}

/** A database with these tables (their columns, as SQL has them), empty before each test, a Redis, and nodes of caches on both. */
export const useStage = (tables: Readonly<Record<string, string>>): Stage => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const client = useClient(database)
  const redis = useRedis()
  beforeAll(async () => {
    for (const [name, columns] of Object.entries(tables)) await client.query(`create table ${name} (${columns})`)
  })
  afterEach(async () => {
    await client.query(`truncate ${Object.keys(tables).join(', ')}`)
  })
  return { database, client, redis, ...useNodes({ database, redis }) }
}
