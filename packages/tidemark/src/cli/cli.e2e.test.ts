import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CallOptions, runCli } from '../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../testing/project/cli-process.js'
import { createPreparedProject } from '../testing/project/prepared-project.js'
import { until } from '../time/until.js'

interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly fix: string }
}

const makeFile = (path: string, rows: number, sql = ''): void => {
  const db = new Sqlite(path)
  db.exec('create table item (id integer primary key, name text)')
  const insert = db.prepare('insert into item (name) values (?)')
  db.transaction(() => {
    for (let i = 1; i <= rows; i++) insert.run(`item number ${i}`)
  })()
  db.exec(sql)
  db.close()
}

let dir: string
let remove: () => Promise<void>
let server: CliProcess

const cli = (args: readonly string[], options: Partial<CallOptions> = {}) => runCli(args, { cwd: dir, ...options })

/** As a process of its own, where it is about what a process does. */
const spawned = (args: readonly string[], options: Partial<CallOptions> = {}) => startCli(args, { cwd: dir, ...options }).ended

/** With --json: what stdout holds is JSON and nothing else. */
const json = async (args: readonly string[], options: Partial<CallOptions> = {}) => {
  const { exitCode, stdout, stderr } = await cli([...args, '--json'], options)
  return { exitCode, stderr, data: JSON.parse(stdout) as Record<string, unknown> & Partial<Failure> }
}

beforeAll(async () => {
  const folder = await createPreparedProject()
  dir = folder.dir
  remove = folder.remove
  // Holds the embedded Postgres, so that the commands below attach to it.
  server = startCli(['start', '--json'], { cwd: dir, env: { PORT: '0' } })
  makeFile(join(dir, 'app.db'), 1000)
  await untilServing(server)
})

afterAll(async () => {
  server.child.kill('SIGTERM')
  await server.ended
  await remove()
})

describe('the form of a call', () => {
  test('--version prints the version, --help the commands', async () => {
    const manifest = JSON.parse(await readFile(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8')) as {
      version: string
    }
    expect((await spawned(['--version'])).stdout).toBe(`${manifest.version}\n`)
    const help = await spawned(['--help'])
    expect(help.exitCode).toBe(0)
    for (const command of ['dev', 'start', 'doctor', 'status', 'schema', 'move', 'db'])
      expect(help.stdout).toContain(`\n  ${command}`)
  })

  test('the help of a command lists the options of the configuration', async () => {
    const { stdout } = await cli(['start', '--help'])
    for (const text of ['--port <number>', 'PORT', '--state-dir', 'DATABASE_URL', '--json']) expect(stdout).toContain(text)
    expect((await cli(['move', 'copy', '--help'])).stdout).toContain('--workers')
    expect((await cli(['move', 'copy', '--help'])).stdout).not.toContain('--port')
  })

  test.each([
    [['bogus'], 'bogus'],
    [['move', 'copy'], 'file'],
    [['status', '--jsn'], '--jsn'],
    [['move', 'copy', 'app.db', '--on-existing', 'perhaps'], 'refuse, resume, replace'],
    [['move', 'status', '--limit', '0'], 'whole number'],
    [['move'], 'Name the SQLite file'],
  ])('a wrong line exits with 2: %j', async (args, hint) => {
    const { exitCode, stdout, stderr } = await cli(args)
    expect(exitCode).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(hint)
    expect(stderr).toContain('TM_CLI_USAGE')
    expect(stderr).toContain('--help` to see how')
  })

  test('without a command it shows the help, and exits with 2', async () => {
    const { exitCode, stdout, stderr } = await spawned([])
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(stderr).toContain('Usage: tidemark')
  })

  test('an error with --json is JSON on stdout', async () => {
    const { exitCode, data, stderr } = await json(['move', 'copy'])
    expect(exitCode).toBe(2)
    expect(data.error).toMatchObject({ code: 'TM_CLI_USAGE', message: expect.any(String), fix: expect.any(String) })
    expect(stderr).toBe('')
  })

  test('colours only where they are wanted', async () => {
    const colour = '\u001b['
    expect((await cli(['bogus'])).stderr).not.toContain(colour)
    expect((await cli(['bogus'], { env: { FORCE_COLOR: '1' } })).stderr).toContain(colour)
    expect((await cli(['bogus'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stderr).not.toContain(colour)
    expect((await cli(['bogus', '--no-color'], { env: { FORCE_COLOR: '1' } })).stderr).not.toContain(colour)
  })
})

describe('exit codes', () => {
  test('3 for the configuration, with the option, the value and the fix', async () => {
    const { exitCode, data } = await json(['start'], { env: { PORT: 'many' } })
    expect(exitCode).toBe(3)
    expect(data.error).toMatchObject({ code: 'TM_CONFIG_BAD_VALUE', message: expect.stringContaining('many') })
    await writeFile(join(dir, 'wrong.json'), '{"servre": {}}')
    const wrong = await json(['doctor', '--config', 'wrong.json'])
    expect([wrong.exitCode, wrong.data.error?.code]).toEqual([3, 'TM_CONFIG_UNKNOWN_KEY'])
  })

  test('4 for what cannot be reached, and SEC-2: the password is in no output', async () => {
    const env = { DATABASE_URL: 'postgres://someone:hunter2-very-secret@127.0.0.1:9/db', TIDEMARK_START_TIMEOUT: '0' }
    for (const args of [['move', 'copy', 'app.db'], ['doctor'], ['start'], ['db', 'url']]) {
      const { exitCode, stdout, stderr } = await spawned([...args, '--verbose'], { env })
      expect([args[0], exitCode]).toEqual([args[0], 4])
      expect(stdout + stderr).not.toContain('hunter2-very-secret')
    }
    const elsewhere = await createPreparedProject()
    expect((await json(['status'], { cwd: elsewhere.dir })).exitCode).toBe(4)
    await elsewhere.remove()
  })

  test('1 for what failed: a file that is no database, a migration that Postgres refuses', async () => {
    await writeFile(join(dir, 'noise.db'), 'this is not a database at all'.repeat(100))
    const noise = await json(['move', 'plan', 'noise.db'])
    expect([noise.exitCode, noise.data.error?.code]).toEqual([1, 'TM_SQLITE_NOT_A_DATABASE'])
    const project = await createPreparedProject()
    await mkdir(join(project.dir, 'supabase', 'migrations'), { recursive: true })
    await writeFile(join(project.dir, 'supabase', 'migrations', '20260101000000_wrong.sql'), 'create tabel x ();')
    const failed = await json(['schema', 'up'], { cwd: project.dir })
    expect([failed.exitCode, failed.data.error?.code]).toEqual([1, 'TM_SCHEMA_FAILED'])
    await project.remove()
  })

  test('7 for what took too long', async () => {
    const { exitCode, data } = await json(['db', 'psql', '-c', 'set statement_timeout = 50; select pg_sleep(10)'])
    expect([exitCode, data.error?.code]).toEqual([7, 'TM_POSTGRES_TIMEOUT'])
  })
})

describe('moving a file', () => {
  test('plan writes the report and the choices, and never over choices that are there', async () => {
    const { exitCode, data } = await json(['move', 'plan', 'app.db'])
    expect(exitCode).toBe(0)
    expect(data).toMatchObject({ totals: { tables: 1, rows: 1000 } })
    expect(await readFile(join(dir, 'app.move.md'), 'utf8')).toContain('item')
    await writeFile(join(dir, 'app.move.json'), '{"version": 1, "timeZone": "Australia/Darwin", "tables": {}}')
    await cli(['move', 'plan', 'app.db'])
    expect(await readFile(join(dir, 'app.move.json'), 'utf8')).toContain('Darwin')
  })

  test('--dry-run copies nothing', async () => {
    const { exitCode, data } = await json(['move', 'copy', 'app.db', '--schema', 'dry', '--dry-run'])
    expect(exitCode).toBe(0)
    expect(data).toMatchObject({ dryRun: true, plan: { totals: { rows: 1000 } } })
    expect((await json(['move', 'status', 'app.db'])).data).toEqual({ moves: [] })
  })

  test('one command plans, copies and verifies; stdout is the report and nothing else', async () => {
    const { exitCode, data, stderr } = await json(['move', 'app.db', '--once', '--schema', 'whole'])
    expect(exitCode).toBe(0)
    expect(data).toMatchObject({ ok: true, tables: [{ table: 'item', rows: 1000, equal: 1000, missing: 0, extra: 0 }] })
    expect(stderr).toContain('Copying')
    const counted = await json(['db', 'psql', '-c', 'select count(*) from whole.item', '--role', 'app'])
    expect(counted.data).toMatchObject({ results: [{ rows: [{ count: '1000' }] }] })
    const quiet = await cli(['move', 'verify', 'app.db', '--schema', 'whole', '--quiet'])
    expect(quiet.stderr).toBe('')
    expect(quiet.stdout).toContain('1,000 rows is accounted for')
  })

  test('5 where the two sides differ, with the row', async () => {
    await json(['move', 'copy', 'app.db', '--schema', 'differs'])
    await json([
      'db',
      'psql',
      '-c',
      "update differs.item set name = 'changed' where id = 7; delete from differs.item where id = 9",
    ])
    const { exitCode, data, stderr } = await json(['move', 'verify', 'app.db', '--schema', 'differs'])
    expect(exitCode).toBe(5)
    expect(data).toMatchObject({ ok: false, tables: [{ missing: 1, differing: 1, equal: 998 }] })
    expect(stderr).toContain('TM_MOVE_DIFFERS')
  })

  test('6 where rows were left behind, and they are listed', async () => {
    makeFile(join(dir, 'flawed.db'), 3, "insert into item (name) values ('a' || char(0) || 'b')")
    const copied = await json(['move', 'copy', 'flawed.db', '--schema', 'flawed'])
    expect(copied.exitCode).toBe(6)
    expect(copied.data).toMatchObject({ ok: false, tables: [{ table: 'item', copied: 3, rejected: 1 }] })
    expect(copied.stderr).toContain('TM_MOVE_REJECTS')
    const { data } = await json(['move', 'status', 'flawed.db', '--rejects'])
    expect(data).toMatchObject({ rejects: [{ table: 'item', column: 'name', outcome: 'rowRejected' }] })
    const all = await json(['move', 'flawed.db', '--once', '--schema', 'flawed_too'])
    expect(all.exitCode).toBe(6)
    expect(all.data).toMatchObject({ verify: { ok: true, tables: [{ rejected: 1, equal: 3 }] } })
  })

  test('2 where a confirmation is needed and nobody is there; --yes gives it', async () => {
    const replace = ['move', 'copy', 'app.db', '--schema', 'replaced', '--on-existing', 'replace']
    const asked = await json(replace)
    expect([asked.exitCode, asked.data.error?.code]).toEqual([2, 'TM_CLI_UNCONFIRMED'])
    expect((await json([...replace, '--yes'])).exitCode).toBe(0)
  })

  test('Ctrl-C ends a copy with 130 and a word on how to go on, which then works', async () => {
    makeFile(join(dir, 'large.db'), 100_000)
    const copy = startCli(['move', 'copy', 'large.db', '--schema', 'large'], { cwd: dir })
    await until(() => copy.stderr.includes('Copying'))
    copy.child.kill('SIGINT')
    const { exitCode, stderr } = await copy.ended
    expect(exitCode).toBe(130)
    expect(stderr).toContain('What was copied is kept')
    expect(stderr).toContain('--on-existing resume')
    const resumed = await json(['move', 'large.db', '--once', '--schema', 'large', '--on-existing', 'resume'])
    expect(resumed.exitCode).toBe(0)
    expect(resumed.data).toMatchObject({ ok: true, tables: [{ equal: 100_000 }] })
  })
})

describe('the schema', () => {
  test('new, up, status and types; 6 where the database drifted', async () => {
    const created = await json(['schema', 'new', 'Add a colour'])
    const path = String(created.data['path'])
    expect(path).toMatch(/supabase\/migrations\/\d{14}_add_a_colour\.sql$/)
    await writeFile(path, 'create table colour (id bigint primary key, name text not null);')
    expect((await json(['schema', 'status'])).data).toMatchObject({ pending: 1 })
    expect((await json(['schema', 'up', '--dry-run'])).data).toMatchObject({ applied: [{ name: 'add_a_colour' }], dryRun: true })
    expect((await json(['schema', 'up'])).data).toMatchObject({ applied: [{ name: 'add_a_colour' }], dryRun: false })
    expect((await cli(['schema', 'types'])).stdout).toContain('colour')
    expect((await cli(['schema', 'types', '--out', 'types.ts'])).exitCode).toBe(0)
    expect(await readFile(join(dir, 'types.ts'), 'utf8')).toContain('colour')
    // What a move has made is no drift, though no migration knows it.
    await json(['move', 'copy', 'app.db'])
    expect((await json(['schema', 'diff', '--schema', 'public'])).exitCode).toBe(0)
    await json(['db', 'psql', '-c', 'alter table colour add column extra text'])
    const drifted = await json(['schema', 'diff', '--schema', 'public'])
    expect(drifted.exitCode).toBe(6)
    expect(drifted.data).toMatchObject({ ok: false, differences: [{ kind: 'column', name: 'extra', state: 'extra' }] })
  })
})

describe('SEC-1: schema check', () => {
  const migrate = async (name: string, sql: string) => {
    const created = await json(['schema', 'new', name])
    await writeFile(String(created.data['path']), sql)
    return json(['schema', 'up'])
  }

  test('6 where rows are open to callers, with the SQL that closes them; the server says the same', async () => {
    expect((await migrate('Note it', 'create table note (id int); alter table note enable row level security')).exitCode).toBe(0)
    expect(await json(['schema', 'check'])).toMatchObject({ exitCode: 0, data: { ok: true, schemas: ['public'] } })
    await json(['db', 'psql', '-c', 'alter table note disable row level security; grant select on note to anon'])
    const open = { level: 'error', code: 'rowSecurityOff', object: 'public.note', roles: ['anon'] }
    const found = await json(['schema', 'check'])
    expect(found.exitCode).toBe(6)
    expect(found.data).toMatchObject({ ok: false })
    expect(found.data['findings']).toContainEqual(expect.objectContaining(open))
    const text = await cli(['schema', 'check'])
    expect(text.exitCode).toBe(6)
    for (const part of [
      '✗ public.note (rowSecurityOff)',
      'anon may read every row',
      '→ alter table public.note enable row level security',
    ])
      expect(text.stdout).toContain(part)
    expect(text.stderr).toContain('TM_SCHEMA_OPEN')
    expect((await json(['schema', 'check', '--schema', 'tidemark'])).exitCode).toBe(0)
    expect((await json(['doctor'])).data['findings']).toContainEqual(
      expect.objectContaining({ check: 'row security', verdict: 'warn', message: expect.stringContaining('public.note') }),
    )
    const { url, admin } = (await json(['status'])).data as { url: string; admin: { token: string } }
    const answer = await fetch(`${url}/admin/v1/schema/check?schemas=public`, {
      headers: { authorization: `Bearer ${admin.token}` },
    })
    expect(await answer.json()).toEqual(found.data)
    await json(['db', 'psql', '-c', 'drop table note'])
  })

  test('6 where a migration would open rows, and nothing of it stays; warn lets it pass and says so', async () => {
    const refused = await migrate('Open a list', 'create table list (id int); grant select on list to anon')
    expect([refused.exitCode, refused.data.error?.code]).toEqual([6, 'TM_SCHEMA_EXPOSED'])
    expect(refused.data.error?.fix).toContain('alter table public.list enable row level security')
    expect((await json(['schema', 'status'])).data).toMatchObject({ pending: 1 })
    const passed = await cli(['schema', 'up'], { env: { TIDEMARK_ROW_SECURITY: 'warn' } })
    expect(passed.exitCode).toBe(0)
    expect(passed.stderr).toContain('✗ public.list (rowSecurityOff)')
    expect((await cli(['schema', 'check'], { env: { TIDEMARK_SCHEMA_ACCEPTED: 'list' } })).exitCode).toBe(0)
  })
})

describe('db', () => {
  /** A PATH on which there is a Node and nothing else. */
  const withoutPsql = async (): Promise<string> => {
    const bin = join(dir, 'bin')
    await mkdir(bin, { recursive: true })
    await symlink(process.execPath, join(bin, 'node')).catch(() => undefined)
    return bin
  }

  test('url gives each role its own login, the least privileged included', async () => {
    const users = await Promise.all(
      ['migrator', 'app', 'authenticator', 'feed'].map(
        async (role) => new URL((await cli(['db', 'url', '--role', role])).stdout.trim()).username,
      ),
    )
    expect(users).toEqual(['tidemark_migrator', 'tidemark_app', 'authenticator', 'tidemark_feed'])
  })

  test('the built-in prompt runs what is typed, shows errors and goes on', async () => {
    const env = { PATH: await withoutPsql() }
    const input =
      "\\dn\n\\dt\nselect 'split'\n as word;\nselect nonsense;\n\\d tidemark.migrations\n\\what\nselect 'last' as word;\n\\q\nselect 'never';\n"
    const { exitCode, stdout, stderr } = await cli(['db', 'psql'], { env, input })
    expect(exitCode).toBe(0)
    for (const text of ['supabase_migrations', 'move_runs', 'split', 'checksum', '\\q             quit', 'last'])
      expect(stdout).toContain(text)
    expect(stdout).not.toContain('never')
    expect(stderr).toContain('nonsense')
    const once = await cli(['db', 'psql', '--command', 'select 40 + 2 as answer'], { env })
    expect(once.stdout).toContain('42')
    expect((await cli(['db', 'psql', '--command', 'select nonsense'], { env })).exitCode).toBe(1)
  })

  test('psql, where there is one, gets the password from its environment and not on its command line', async () => {
    const bin = join(dir, 'fake')
    await mkdir(bin, { recursive: true })
    const script = `#!${process.execPath}\nconsole.log(JSON.stringify({ args: process.argv.slice(2), user: process.env.PGUSER, password: process.env.PGPASSWORD }))\nprocess.exit(3)\n`
    await writeFile(join(bin, 'psql'), script, { mode: 0o755 })
    const { exitCode, stdout } = await spawned(['db', 'psql', '-c', 'select 1'], {
      env: { PATH: `${bin}:${dirname(process.execPath)}` },
    })
    const seen = JSON.parse(stdout) as { args: string[]; user: string; password: string }
    expect(seen.user).toBe('tidemark_migrator')
    expect(seen.password.length).toBeGreaterThan(20)
    expect(seen.args.join(' ')).not.toContain(seen.password)
    expect(exitCode).toBe(1)
  })
})
