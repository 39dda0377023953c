import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBarePostgres } from '../testing/project/prepared-project.js'

const repository = fileURLToPath(new URL('../../../../', import.meta.url))
const run = promisify(execFile)

/** The first example of the page, as it stands. */
const firstExample = async (): Promise<string> => {
  const page = await readFile(join(repository, 'docs/cache.md'), 'utf8')
  return /```ts\n(.*?)```/s.exec(page)![1]!
}

describe('the first example of docs/cache.md', () => {
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-example-'))
    await mkdir(join(folder, 'node_modules/@types'), { recursive: true })
    await symlink(join(repository, 'packages/tidemark'), join(folder, 'node_modules/tidemark'))
    await symlink(join(repository, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'))
    await writeFile(join(folder, 'package.json'), '{"type": "module"}')
    await writeFile(join(folder, 'example.ts'), await firstExample())
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('has at most 25 lines, and types that hold', async () => {
    expect((await firstExample()).trim().split('\n').length).toBeLessThanOrEqual(25)
    const options = { strict: true, noEmit: true, module: 'nodenext', target: 'es2022', types: ['node'], skipLibCheck: true }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['example.ts'] }))
    const checking = run(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc'), '-p', folder])
    await expect(checking.catch(({ stdout }: { stdout: string }) => stdout)).resolves.toMatchObject({ stdout: '' })
  })

  it('runs', async () => {
    const postgres = await startBarePostgres(folder)
    try {
      const client = new pg.Client({ connectionString: postgres.url })
      await client.connect()
      await client.query('create table chat_messages (session_id text, seq int, text text, primary key (session_id, seq))')
      await client.end()
      const jiti = join(repository, 'node_modules/jiti/lib/jiti-cli.mjs')
      const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1', DATABASE_URL: postgres.url }
      const { stdout } = await run(process.execPath, [jiti, join(folder, 'example.ts')], { env, timeout: 60_000 })
      expect(stdout).toContain("{ session_id: 'a-session', seq: 1, text: 'hello' }")
    } finally {
      await postgres.stop()
    }
  })
})
