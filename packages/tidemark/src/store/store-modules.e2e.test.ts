import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EmbeddedPostgres } from '../postgres/embedded/embedded.js'
import { makeSqlite } from '../testing/make-sqlite.js'
import { startBarePostgres } from '../testing/project/prepared-project.js'
import { useFolder } from '../testing/use-folder.js'

const entry = new URL('../../dist/store/store.js', import.meta.url)
const folder = useFolder('store-modules')
const path = join(folder, 'app.db')
let server: EmbeddedPostgres

beforeAll(async () => {
  makeSqlite(path, "CREATE TABLE note (title TEXT); INSERT INTO note VALUES ('one')")
  server = await startBarePostgres(folder)
})
afterAll(() => server.stop())

/** What a process of its own has loaded when it has read and written once. */
const loadedBy = async (options: object): Promise<{ readonly store: string; readonly pg: boolean; readonly sqlite: boolean }> => {
  const script = `
    import { createRequire } from 'node:module'
    import { sql } from ${JSON.stringify(fileURLToPath(import.meta.resolve('kysely')))}
    const { openStore } = await import(${JSON.stringify(entry.href)})
    const store = await openStore(${JSON.stringify(options)})
    await store.read((db) => sql\`SELECT 1\`.execute(db))
    const name = await store.write(async (db, { store }) => (await sql\`SELECT 1\`.execute(db), store))
    await store.close()
    const loaded = Object.keys(createRequire(import.meta.url).cache)
    const has = (name) => loaded.some((file) => file.includes('/node_modules/' + name + '/'))
    console.log(JSON.stringify({ store: name, pg: has('pg'), sqlite: has('better-sqlite3') }))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: folder })
  return JSON.parse(stdout) as { store: string; pg: boolean; sqlite: boolean }
}

describe('C46: the driver of a store that is not used', () => {
  it('is not loaded on SQLite alone', async () => {
    expect(await loadedBy({ sqlite: { path } })).toEqual({ store: 'sqlite', pg: false, sqlite: true })
    expect(await loadedBy({ sqlite: { path }, provider: 'sqlite' })).toEqual({ store: 'sqlite', pg: false, sqlite: true })
  })

  it('is not loaded on Postgres, with a file beside it or without', async () => {
    const postgres = { url: server.url }
    expect(await loadedBy({ postgres })).toEqual({ store: 'postgres', pg: true, sqlite: false })
    const both = { postgres, sqlite: { path }, provider: 'postgres' }
    expect(await loadedBy(both)).toEqual({ store: 'postgres', pg: true, sqlite: false })
  })
})
