import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../testing/project/cli-process.js'
import { createPreparedProject } from '../testing/project/prepared-project.js'
import { until } from '../time/until.js'

interface Status {
  readonly state: string
  readonly writer: string
  readonly next: readonly { readonly command: string }[]
}

describe('a live move from the command line', () => {
  let dir: string
  let remove: () => Promise<void>
  let server: CliProcess
  let file: Sqlite.Database

  const json = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await runCli([...args, '--json'], { cwd: dir })
    return { exitCode, stderr, data: JSON.parse(stdout) as Record<string, unknown> }
  }
  const status = async (): Promise<Status> => ((await json('move', 'status', 'app.db')).data['moves'] as Status[])[0]!
  const inPostgres = async (sql: string): Promise<unknown> => (await json('db', 'psql', '-c', sql)).data

  beforeAll(async () => {
    ;({ dir, remove } = await createPreparedProject())
    file = new Sqlite(join(dir, 'app.db'))
    file.pragma('journal_mode = WAL')
    file.exec('CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, price REAL)')
    const insert = file.prepare('INSERT INTO item (name, price) VALUES (?, ?)')
    for (let i = 1; i <= 500; i++) insert.run(`item ${i}`, i / 3)
    server = startCli(['start', '--json'], { cwd: dir, env: { PORT: '0' } })
    await untilServing(server)
  })

  afterAll(async () => {
    file.close()
    server.child.kill('SIGTERM')
    await server.ended
    await remove()
  })

  test('it copies, follows and says when it is ready', async () => {
    const { exitCode, data } = await json('move', 'app.db', '--until-ready')
    expect(exitCode).toBe(0)
    expect(data).toMatchObject({ outcome: 'ready', copy: { ok: true } })
    expect(await status()).toMatchObject({ state: 'following', writer: 'sqlite' })
  })

  test('MOVE-1: what is written meanwhile reaches Postgres, and Ctrl-C ends it with 130', async () => {
    const conductor = startCli(['move', 'app.db'], { cwd: dir })
    file.exec("INSERT OR REPLACE INTO item (name, price) VALUES ('item 7', 1); DELETE FROM item WHERE id = 9")
    const sql = "SELECT count(*)::int AS n FROM item WHERE (name = 'item 7' AND id = 501) OR id IN (7, 9)"
    await until(async () => JSON.stringify(await inPostgres(sql)).includes('"n":"1"'), { timeoutMs: 30_000, what: 'the change' })
    conductor.child.kill('SIGINT')
    const { exitCode, stdout } = await conductor.ended
    expect([exitCode, stdout]).toEqual([130, expect.stringContaining('nothing is lost')])
  })

  test('R82: reads move by percent, and nonsense is refused', async () => {
    expect((await json('move', 'reads', 'app.db', '25%')).data).toMatchObject({ percent: 25, before: 0 })
    const { exitCode, data } = await json('move', 'reads', 'app.db', 'half')
    expect([exitCode, data]).toMatchObject([2, { error: { code: 'TM_CLI_USAGE' } }])
  })

  test('Postgres takes nobody’s writes before the cutover', async () => {
    const { exitCode, stderr, data } = await json('db', 'psql', '-c', "INSERT INTO item (name) VALUES ('early')", '--role', 'app')
    expect(exitCode).not.toBe(0)
    expect(`${stderr}${JSON.stringify(data)}`).toContain('takes no writes')
  })

  test('MOVE-4: the cutover switches the writer, runs the command, and ids go on', async () => {
    const told = `sh -c "echo $DATABASE_PROVIDER $TIDEMARK_MOVE_STATE > ${join(dir, 'told')}"`
    const { exitCode, data } = await json('move', 'cutover', 'app.db', '--no-mirror', '--max-pause', '20s', '--on-cutover', told)
    expect(exitCode).toBe(0)
    expect(data).toMatchObject({ ok: true, command: { exitCode: 0, failure: null } })
    expect(await readFile(join(dir, 'told'), 'utf8')).toBe('postgres mirroring\n')
    expect(() => file.exec("INSERT INTO item (name) VALUES ('late')")).toThrow(/^tidemark: /)
    expect(await inPostgres("INSERT INTO item (name) VALUES ('new') RETURNING id")).toMatchObject({
      results: [{ rows: [{ id: '502' }] }],
    })
    expect(await status()).toMatchObject({ state: 'mirroring', writer: 'postgres' })
  })

  test('R91: finishing within seven days needs --yes; exporting does not', async () => {
    const early = await json('move', 'export', 'app.db', '--out', 'copy.db')
    expect([early.exitCode, early.data['ok']]).toEqual([0, true])
    const copy = new Sqlite(join(dir, 'copy.db'), { readonly: true })
    expect(copy.prepare("SELECT name FROM item WHERE name = 'new'").pluck().get()).toBe('new')
    copy.close()
    const { exitCode, data } = await json('move', 'finish', 'app.db')
    expect([exitCode, data]).toMatchObject([2, { error: { code: 'TM_CLI_UNCONFIRMED' } }])
  })

  test('MOVE-5: the rollback brings back what Postgres took', async () => {
    const { exitCode, data } = await json('move', 'rollback', 'app.db', '--max-pause', '20s')
    expect([exitCode, data['ok']]).toEqual([0, true])
    expect(file.prepare("SELECT id FROM item WHERE name = 'new'").pluck().get()).toBe(502)
    file.exec("INSERT INTO item (name) VALUES ('again')")
    expect(file.prepare("SELECT id FROM item WHERE name = 'again'").pluck().get()).toBe(503)
  })

  test('a step that the state does not allow is named, with what is possible', async () => {
    const { exitCode, data } = await json('move', 'cutover', 'app.db')
    expect(exitCode).not.toBe(0)
    expect(data).toMatchObject({ error: { code: 'TM_MOVE_STATE' } })
  })

  test('abort leaves no trace on either side', async () => {
    expect((await json('move', 'abort', 'app.db', '--yes')).exitCode).toBe(0)
    expect(file.prepare("SELECT name FROM sqlite_schema WHERE name LIKE '%tidemark%' OR sql LIKE '%tidemark%'").all()).toEqual([])
    expect(
      JSON.stringify(
        await inPostgres(
          "SELECT to_regclass('item') AS t, count(*)::int AS n FROM pg_replication_slots WHERE slot_name !~ '^tidemark_[0-9]+_feed$'",
        ),
      ),
    ).toContain('"t":null,"n":"0"')
  })
})
