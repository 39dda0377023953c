/** An application that writes one post after the other, to either side, and tells whether it was let. */
import type pg from 'pg'
import { expect } from 'vitest'
import type { LiveMove } from './live-moves.js'

export interface Posts {
  writeSqlite(move: LiveMove): boolean
  writePostgres(move: LiveMove): Promise<boolean>
  inFile(move: LiveMove, id: number): boolean
  inPostgres(move: LiveMove, id: number): Promise<boolean>
  /** The id of the post that was tried last. */
  last(): number
}

export const createPosts = (client: pg.Client): Posts => {
  let last = 70_000
  return {
    writeSqlite: ({ app }) => {
      try {
        app.prepare("INSERT INTO posts VALUES (?, 1, 'in', 'sqlite')").run(++last)
        return true
      } catch (error) {
        expect(String(error)).toContain('tidemark')
        return false
      }
    },
    writePostgres: ({ schema }) =>
      client.query(`INSERT INTO ${schema}.posts VALUES ($1, 1, 'in', 'postgres')`, [++last]).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'TM001' })
          return false
        },
      ),
    inFile: ({ app }, id) => app.prepare('SELECT 1 FROM posts WHERE id = ?').get(id) !== undefined,
    inPostgres: async ({ schema }, id) => (await client.query(`SELECT FROM ${schema}.posts WHERE id = $1`, [id])).rowCount === 1,
    last: () => last,
  }
}
