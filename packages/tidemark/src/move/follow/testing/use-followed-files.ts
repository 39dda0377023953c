/** What every test of following begins and ends with. */
import pg from 'pg'
import { afterEach, beforeEach, expect } from 'vitest'
import { useDatabase } from '../../../testing/postgres/use-database.js'
import { useFolder } from '../../../testing/use-folder.js'
import type { Follow, FollowTick } from '../follow.js'
import { type FollowedFile, type FollowedFileOptions, followedFile } from './followed-file.js'

export interface FollowedFiles {
  readonly folder: string
  readonly url: string
  /** A schema of its own for each test. */
  readonly schema: string
  /** Runs statements over a connection of its own. */
  ask(sql: string): Promise<void>
  followed(make: FollowedFileOptions['make'], rest?: Partial<FollowedFileOptions>): Promise<FollowedFile>
}

/** Files that are closed after each test, in a database of their own. */
export const useFollowedFiles = (): FollowedFiles => {
  const folder = useFolder('follow')
  const { url } = useDatabase()
  let schemas = 0
  let open: FollowedFile[] = []
  beforeEach(() => {
    schemas++
  })
  afterEach(async () => {
    for (const file of open) await file.close()
    open = []
  })
  const files: FollowedFiles = {
    folder,
    url,
    get schema() {
      return `f${schemas}`
    },
    ask: async (sql) => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query(sql).finally(() => client.end())
    },
    followed: async (make, rest = {}) => {
      const file = await followedFile({ folder, url, schema: files.schema, make, ...rest })
      open.push(file)
      return file
    },
  }
  return files
}

/** Both sides are the same, by verification's own readers. */
export const expectSame = async (file: FollowedFile): Promise<void> => {
  const report = await file.verify()
  expect(report.tables.flatMap(({ table, differences }) => differences.map((difference) => ({ table, ...difference })))).toEqual(
    [],
  )
  expect(report.ok).toBe(true)
}

/** Ticks until one reached the head; all of them. */
export const ticksToHead = async (follow: Follow): Promise<readonly FollowTick[]> => {
  const ticks: FollowTick[] = []
  do ticks.push(await follow.tick())
  while (!ticks.at(-1)!.atHead)
  return ticks
}
