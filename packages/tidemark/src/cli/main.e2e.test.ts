import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CallOptions, type CliCall, runCli, startCall } from '../testing/project/cli-call.js'
import { createProjectFolder } from '../testing/project/cli-process.js'
import { until } from '../time/until.js'

let dir: string
let remove: () => Promise<void>
let server: CliCall

type Options = Omit<CallOptions, 'cwd'>

const call = (args: readonly string[], options: Options = {}): CliCall => startCall(args, { cwd: dir, ...options })

const run = (args: readonly string[], options: Options = {}) => runCli(args, { cwd: dir, ...options })

const makeFile = (name: string, rows: number, sql = ''): void => {
  const db = new Sqlite(join(dir, name))
  db.exec('create table item (id integer primary key, name text)')
  const insert = db.prepare('insert into item (name) values (?)')
  db.transaction(() => {
    for (let i = 1; i <= rows; i++) insert.run(`item ${i}`)
  })()
  db.exec(sql)
  db.close()
}

beforeAll(async () => {
  const folder = await createProjectFolder()
  dir = folder.dir
  remove = folder.remove
  makeFile('shop.db', 500)
  server = call(['dev', '--sample', 'shop.db', '--show-keys'], { tty: true, env: { PORT: '0' } })
  await until(() => server.stdout.includes('Ctrl-C'), { timeoutMs: 60_000 })
})

afterAll(async () => {
  server.signals.emit('SIGTERM')
  expect((await server.ended).exitCode).toBe(0)
  await remove()
})

describe('on a terminal', () => {
  test('dev ends with a banner: addresses, keys, the sample and what to try next', () => {
    const text = server.stdout
    for (const part of [
      'is ready',
      'Server',
      'Postgres',
      'Redis',
      'Anon key',
      'Service key',
      'schema shop',
      'verified row by row',
      'tidemark db psql',
      'tidemark move app.db',
    ]) {
      expect(text).toContain(part)
    }
    expect(server.stderr).toContain('Moving the sample')
  })

  test('the sample is not moved a second time, and one that cannot be moved keeps nobody from the server', async () => {
    const again = call(['dev', '--sample', 'shop.db', '--quiet'], { tty: true, env: { PORT: '0' } })
    await until(() => again.stdout.includes('moved earlier'), { timeoutMs: 30_000 })
    again.signals.emit('SIGINT')
    expect((await again.ended).exitCode).toBe(0)
    const missing = call(['dev', '--sample', 'nowhere.db'], { env: { PORT: '0' } })
    await until(() => missing.stdout.includes('is ready'), { timeoutMs: 30_000 })
    expect(missing.stderr).toContain('TM_SQLITE_NOT_FOUND')
    missing.signals.emit('SIGINT')
    expect((await missing.ended).exitCode).toBe(0)
  })

  test('start shows the status, and no secret of it unless asked', async () => {
    const started = call(['start'], { tty: true, env: { PORT: '0', LOG_LEVEL: 'silent' } })
    await until(() => started.stdout.includes('Anon key'), { timeoutMs: 30_000 })
    expect(started.stdout).not.toContain('Service key')
    started.signals.emit('SIGTERM')
    expect((await started.ended).exitCode).toBe(0)
  })

  test('SEC-2: status and db url show passwords only with --show-keys', async () => {
    const hidden = await run(['status'], { tty: true })
    expect(hidden.stdout).toContain(':***@')
    expect(hidden.stderr).toContain('--show-keys')
    const shown = await run(['status', '--show-keys'], { tty: true })
    const password = /:([^:@]+)@/.exec(shown.stdout)?.[1] ?? ''
    expect(password.length).toBeGreaterThan(20)
    expect(hidden.stdout).not.toContain(password)
    expect((await run(['db', 'url'], { tty: true })).stdout).not.toContain(password)
    expect((await run(['db', 'url', '--show-keys'], { tty: true })).stdout).toContain(password)
    expect((await run(['db', 'url'])).stdout).toContain(password)
  })

  test('the doctor marks what it found', async () => {
    const { exitCode, stdout } = await run(['doctor'], { tty: true, env: { NO_COLOR: '1' } })
    expect(exitCode).toBe(0)
    for (const line of ['✓ node', '✓ state folder', '✓ postgres', '✓ sqlite']) expect(stdout).toContain(line)
  })

  test('the doctor says what to do about a Redis and a Postgres that are away', async () => {
    const env = { DATABASE_URL: 'postgres://me:hunter2@127.0.0.1:9/db', REDIS_URL: 'redis://127.0.0.1:9', NO_COLOR: '1' }
    const { exitCode, stdout } = await run(['doctor'], { env })
    expect(exitCode).toBe(4)
    expect(stdout).toMatch(/✗ postgres +.*cannot be reached/)
    expect(stdout).toMatch(/✗ redis +.*does not answer/)
    expect(stdout).toContain('→ ')
    expect(stdout).not.toContain('hunter2')
  })
})

describe('moving', () => {
  test('plan, copy, verify and status as text', async () => {
    const plan = await run(['move', 'plan', 'shop.db', '--schema', 'text'], { tty: true })
    expect(plan.exitCode).toBe(0)
    expect(plan.stdout).toContain('item')
    expect(await readFile(join(dir, 'shop.move.md'), 'utf8')).toContain('item')
    const copied = await run(['move', 'copy', 'shop.db', '--schema', 'text'])
    expect(copied.stdout).toContain('Copied 500 rows of 1 table')
    expect((await run(['move', 'copy', 'shop.db', '--schema', 'text'])).stdout).toContain('Nothing was left to copy')
    expect(
      (await run(['move', 'verify', 'shop.db', '--schema', 'text', '--tables', 'item', '--max-differences', '5'])).stdout,
    ).toContain('✓ Every one of 500 rows')
    const status = await run(['move', 'status', 'shop.db', '--rejects', '--limit', '5'])
    expect(status.stdout).toContain('→ text: copied')
    const dry = await run(['move', 'shop.db', '--schema', 'dry', '--dry-run'])
    expect(dry.stderr).toContain('Nothing was copied.')
    makeFile('crowded.db', 500, 'create table draft (id integer primary key); create table scrap (id integer primary key)')
    const whole = await run([
      'move',
      'crowded.db',
      '--once',
      '--schema',
      'whole',
      '--names',
      'lower',
      '--exclude',
      'draft,scrap',
      '--into',
      'new',
    ])
    expect([whole.exitCode, whole.stderr]).toEqual([0, expect.stringContaining('Copied 500 rows')])
  })

  test('differences and rejects end in 5 and 6, and are shown', async () => {
    await run(['db', 'psql', '--json', '-c', "update text.item set name = 'x' where id = 3"])
    const differs = await run(['move', 'verify', 'shop.db', '--schema', 'text'])
    expect(differs.exitCode).toBe(5)
    expect(differs.stdout).toContain('name: item 3 in the file, x in Postgres')
    makeFile('flawed.db', 2, "insert into item (name) values ('a' || char(0))")
    const rejected = await run(['move', 'flawed.db', '--once', '--schema', 'flawed'])
    expect(rejected.exitCode).toBe(6)
    expect(rejected.stderr).toContain('TM_MOVE_REJECTS')
    expect((await run(['move', 'status', 'flawed.db', '--rejects'])).stdout).toContain('rowRejected')
  })

  test('an interrupt in the middle says how to go on', async () => {
    makeFile('large.db', 100_000)
    const copy = call(['move', 'copy', 'large.db', '--schema', 'large', '--workers', '1'])
    await until(() => copy.stderr.includes('Copying'))
    copy.signals.emit('SIGINT')
    expect((await copy.ended).exitCode).toBe(130)
    await until(() => copy.stderr.includes('--on-existing resume'))
  })
})

describe('the schema and the database', () => {
  test('new, up, status, diff and types as text', async () => {
    expect((await run(['schema', 'new', 'x', '--dry-run'])).stdout).toContain('would be written')
    const created = (await run(['schema', 'new', 'make a thing'])).stdout.trim()
    await writeFile(join(dir, created), 'create table thing (id bigint primary key);')
    expect((await run(['schema', 'up', '--dry-run'])).stdout).toContain('would apply')
    expect((await run(['schema', 'up'])).stdout).toContain('make_a_thing')
    expect((await run(['schema', 'up'])).stdout).toBe('Nothing is pending.\n')
    expect((await run(['schema', 'status'])).stdout).toMatch(/make_a_thing +applied/)
    expect((await run(['schema', 'diff'])).stdout).toContain('what its migrations say')
    await run(['db', 'psql', '--json', '-c', 'alter table thing alter id type integer'])
    const drifted = await run(['schema', 'diff'])
    expect(drifted.exitCode).toBe(6)
    expect(drifted.stdout).toMatch(/changed +column public\.thing\.id\n +type: integer in the database, bigint in the files/)
    expect((await run(['schema', 'types', '--out', 'types.ts'])).stdout).toContain('wrote types.ts')
    expect((await run(['schema', 'types', '--schema', 'public'])).stdout).toContain('thing')
  })

  test('the SQL prompt', async () => {
    const env = { PATH: '' }
    const { exitCode, stdout, stderr } = await run(['db', 'psql'], {
      env,
      input: "select 1 as one;\n\\dn\n\\d thing\nselect nope;\n\\x\nselect\n 'two' as word\n",
    })
    expect(exitCode).toBe(0)
    for (const text of ['one', 'tidemark', 'integer', 'two', '\\dt']) expect(stdout).toContain(text)
    expect(stderr).toContain('"nope" does not exist')
    expect((await run(['db', 'psql', '-c', '\\dt'], { env })).stdout).toContain('thing')
    expect((await run(['db', 'psql', '--json'], { env })).exitCode).toBe(2)
  })
})
