import type { Database } from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { reasonOf } from '../../errors.js'
import { logKeyOf } from '../log-key.js'
import type { FollowedFile } from './testing/followed-file.js'
import { expectSame, ticksToHead, useFollowedFiles } from './testing/use-followed-files.js'

const files = useFollowedFiles()

const prepare = (sql: string): Promise<void> =>
  files.ask(`CREATE SCHEMA ${files.schema}; SET search_path TO ${files.schema}, public; ${sql}`)

const into = (make: string | ((app: Database) => void), tables: object, rest: object = {}): Promise<FollowedFile> =>
  files.followed(make, { map: { version: 1, tables, ...rest } })

const constraints = async ({ client }: FollowedFile): Promise<string[]> =>
  (
    await client.query<{ name: string }>(
      'SELECT conname AS name FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype <> $2 ORDER BY 1',
      [files.schema, 'n'],
    )
  ).rows.map(({ name }) => name)

const waiting = async ({ client, copy }: FollowedFile) =>
  (
    await client.query<{ kind: string; name: string; make_sql: string; drop_sql: string }>(
      'SELECT kind, name, make_sql, drop_sql FROM tidemark.move_waiting WHERE run_id = $1 ORDER BY ordinal',
      [copy.runId],
    )
  ).rows

const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

describe('following into tables that exist', () => {
  it('sets constraints and triggers aside, remembers them, and can put them back', async () => {
    await prepare(`
      CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL CONSTRAINT one_mail UNIQUE, age int CHECK (age > 0), stamp text);
      ALTER TABLE users REPLICA IDENTITY USING INDEX one_mail;
      CREATE UNIQUE INDEX by_lower ON users (lower(email)) WHERE age IS NOT NULL;
      CREATE TABLE posts (id bigint PRIMARY KEY, author bigint REFERENCES users (id) ON DELETE CASCADE, "order" int,
        CONSTRAINT "Each once" UNIQUE (author, "order") DEFERRABLE INITIALLY DEFERRED);
      CREATE TABLE audit (id int PRIMARY KEY, about bigint REFERENCES users (id) ON DELETE CASCADE);
      CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.stamp := 'touched'; RETURN new; END $$;
      CREATE TRIGGER "Stamp it" BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp();
      CREATE TRIGGER always_on BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp(); ALTER TABLE users ENABLE ALWAYS TRIGGER always_on;
      CREATE TRIGGER switched_off BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp(); ALTER TABLE users DISABLE TRIGGER switched_off`)
    const file = await into(
      `CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, age INTEGER, stamp TEXT);
       CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER, "order" INTEGER);
       INSERT INTO users VALUES (1, 'a@x', 5, 'kept'), (2, 'b@x', 6, NULL); INSERT INTO posts VALUES (1, 1, 1), (2, 1, 2), (3, 9, 1)`,
      { users: { to: 'users' }, posts: { to: 'posts' } },
    )
    const identity = async () =>
      (await file.client.query(`SELECT relreplident FROM pg_class WHERE oid = '${files.schema}.users'::regclass`)).rows[0]
        .relreplident
    expect(await identity()).toBe('f')
    expect(await constraints(file)).toEqual(['audit_pkey', 'posts_pkey', 'users_age_check', 'users_pkey'])
    expect((await waiting(file)).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'unique Each once',
      'unique one_mail',
      'unique by_lower',
      'foreignKey audit_about_fkey',
      'foreignKey posts_author_fkey',
      'trigger Stamp it',
      'trigger always_on',
    ])
    const follow = await file.follow()
    file.app.exec(
      "BEGIN; UPDATE users SET email = '?' WHERE id = 1; UPDATE users SET email = 'a@x' WHERE id = 2; UPDATE users SET email = 'b@x' WHERE id = 1; DELETE FROM posts WHERE id = 3; UPDATE posts SET \"order\" = 3 - \"order\"; COMMIT",
    )
    expect(await follow.tick()).toMatchObject({ atHead: true, rejected: 0 })
    expect(await file.rows('users')).toEqual([
      ['1', 'b@x', 5, 'kept'],
      ['2', 'a@x', 6, null],
    ])
    await expectSame(file)
    for (const { make_sql } of await waiting(file)) await file.client.query(make_sql)
    expect(await constraints(file)).toEqual([
      'Each once', 'audit_about_fkey', 'audit_pkey', 'one_mail', 'posts_author_fkey', 'posts_pkey', 'users_age_check', 'users_pkey',
    ]) // biome-ignore format: one line reads better
    expect(await identity()).toBe('i')
    const { rows: enabled } = await file.client.query(
      `SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = '${files.schema}.users'::regclass AND NOT tgisinternal AND tgname !~ '^_tidemark' ORDER BY 1`,
    )
    expect(enabled.map(({ tgname, tgenabled }) => `${tgname} ${tgenabled}`)).toEqual([
      'Stamp it O',
      'always_on A',
      'switched_off D',
    ])
    for (const { drop_sql } of (await waiting(file)).reverse()) await file.client.query(drop_sql)
    expect(await constraints(file)).toHaveLength(4)
  })

  it('refuses the writes of others on every moved table', async () => {
    await prepare('CREATE TABLE users (id bigint PRIMARY KEY)')
    const file = await into('CREATE TABLE users (id INTEGER PRIMARY KEY); INSERT INTO users VALUES (1)', {
      users: { to: 'users' },
    })
    const name = `${files.schema}.users`
    for (const sql of [`INSERT INTO ${name} VALUES (5)`, `UPDATE ${name} SET id = 6`, `DELETE FROM ${name}`, `TRUNCATE ${name}`])
      await expect(file.client.query(sql).catch((error: unknown) => reasonOf(error))).resolves.toMatch(/takes no writes/)
    expect(await file.rows('users')).toEqual([['1']])
  })

  it('gives mapped ids their uuids, and finds the rows by them', async () => {
    await prepare(
      'CREATE TABLE users (id uuid PRIMARY KEY, name text); CREATE TABLE posts (id uuid PRIMARY KEY, author uuid REFERENCES users (id))',
    )
    const file = await into(
      "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT); CREATE TABLE posts (id INTEGER PRIMARY KEY, author TEXT); INSERT INTO users VALUES ('ann', 'A'); INSERT INTO posts VALUES (1, 'ann')",
      {
        users: { to: 'users', columns: { id: { as: 'uuid-mapped' } } },
        posts: { to: 'posts', columns: { id: { as: 'uuid-mapped' }, author: { as: 'uuid-mapped' } } },
      },
    )
    expect(file.plan.tables.map(logKeyOf)).toEqual([
      { kind: 'columns', columns: ['id'] },
      { kind: 'columns', columns: ['id'] },
    ])
    const follow = await file.follow()
    file.app.exec(
      "INSERT INTO users VALUES ('bob', 'B'); UPDATE users SET id = 'anna' WHERE id = 'ann'; INSERT INTO posts VALUES (2, 'bob'); UPDATE posts SET author = 'anna' WHERE id = 1",
    )
    await follow.drain()
    expect(await file.rows('posts')).toHaveLength(2)
    await expectSame(file)
  })

  it('copies the table anew where a uuid is spelled so that another text may be the same', async () => {
    await prepare('CREATE TABLE t (id uuid PRIMARY KEY, v int)')
    const lower = '00000000-0000-4000-8000-0000000000ab'
    const file = await into(
      `CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER); INSERT INTO t VALUES ('${lower}', 1), ('${uuid(2)}', 2)`,
      { t: { to: 't' } },
    )
    const follow = await file.follow()
    file.app.exec(`INSERT INTO t VALUES ('${lower.toUpperCase()}', 3)`)
    expect(await follow.tick()).toMatchObject({ rejected: 0, renewed: [] })
    expect(await file.rows('t')).toHaveLength(2)
    // One of the two rows has no place. When the other goes, it gets it.
    file.app.exec(`DELETE FROM t WHERE id = '${lower}'`)
    await follow.drain()
    expect(await file.rows('t', '2')).toEqual([
      [uuid(2), 2],
      [lower, 3],
    ])
    await expectSame(file)
  })

  it('puts rows off whose key is still taken in Postgres, until the batch that frees it', async () => {
    await prepare('CREATE TABLE t (id uuid PRIMARY KEY, v int)')
    const make = (app: Database) => {
      app.exec('CREATE TABLE t (k PRIMARY KEY, v INTEGER)')
      const insert = app.prepare('INSERT INTO t VALUES (?, ?)')
      for (let i = 1; i <= 60; i++) insert.run(`key ${i}`, i)
    }
    // Without an affinity the number 1 and the text '1' get one uuid, so the log names rows by rowid.
    const file = await into(make, { t: { to: 't', columns: { k: { to: 'id', as: 'uuid-mapped' } } } })
    expect(file.plan.tables.map(logKeyOf)).toEqual([{ kind: 'rowid', name: 'rowid' }])
    const follow = await file.follow({ maxBatchBytes: 1000 })
    file.app.exec('UPDATE t SET v = 100 WHERE rowid = 50; UPDATE t SET v = v + 1 WHERE rowid BETWEEN 2 AND 40')
    file.app.exec("DELETE FROM t WHERE rowid = 1; UPDATE t SET k = 'key 1' WHERE rowid = 50")
    const { head } = file.app.prepare('SELECT max(seq) AS head FROM _tidemark_log').get() as { head: number }
    const ticks = await ticksToHead(follow)
    expect(ticks.at(-1)!.appliedSeq).toBe(BigInt(head) + 1n)
    expect(ticks.every(({ rejected }) => rejected === 0)).toBe(true)
    await expectSame(file)
  })

  it('lets the row in that was shut out when the one with its key goes: keys that ignore case', async () => {
    await prepare('CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE TABLE t (id citext PRIMARY KEY, v int)')
    const file = await into("CREATE TABLE t (id TEXT PRIMARY KEY, v INTEGER); INSERT INTO t VALUES ('ann', 1), ('bob', 2)", {
      t: { to: 't' },
    })
    expect(file.plan.tables.map(logKeyOf)).toEqual([{ kind: 'rowid', name: 'rowid' }])
    const follow = await file.follow()
    file.app.exec("INSERT INTO t VALUES ('ANN', 3)")
    expect(await follow.tick()).toMatchObject({ rejected: 1, atHead: true })
    expect((await file.rows('t')).map(([id]) => id)).toEqual(['ann', 'bob'])
    file.app.exec("DELETE FROM t WHERE id = 'ann'")
    await follow.drain()
    expect((await file.rows('t')).map(([id]) => id)).toEqual(['ANN', 'bob'])
    await expectSame(file)
  })

  it('names rows by their rowid where a collation of the key calls different texts equal, and refuses what has none', async () => {
    await prepare(`CREATE COLLATION ${files.schema}.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE a (id text COLLATE ${files.schema}.nocase PRIMARY KEY); CREATE TABLE b (LIKE a INCLUDING ALL)`)
    const make =
      "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE b (id TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO a VALUES ('x')"
    await expect(into(make, { a: { to: 'a' }, b: { to: 'b' } })).rejects.toMatchObject({ code: 'TM_MOVE_TYPE_UNSUPPORTED' })
    const file = await files.followed('DROP TABLE b', { map: { version: 1, tables: { a: { to: 'a' } } } })
    const follow = await file.follow()
    file.app.exec("UPDATE a SET id = 'X'; INSERT INTO a VALUES ('y')")
    await follow.drain()
    expect((await file.rows('a')).map(([id]) => id)).toEqual(['X', 'y'])
  })

  it('lets identity columns have the ids of the file', async () => {
    await prepare('CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)')
    const file = await into("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (5, 'a')", { t: { to: 't' } })
    const follow = await file.follow()
    file.app.exec("INSERT INTO t VALUES (70, 'b'); UPDATE t SET id = 6 WHERE id = 5")
    await follow.drain()
    expect(await file.rows('t')).toEqual([
      ['6', 'a'],
      ['70', 'b'],
    ])
  })

  it('sets rows aside that a check of the target refuses, and takes them when they pass', async () => {
    await prepare(
      "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TABLE t (id int PRIMARY KEY, age int CHECK (age < 100), mood mood)",
    )
    const file = await into(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, age INTEGER, mood TEXT); INSERT INTO t VALUES (1, 5, 'glad')",
      {
        t: { to: 't' },
      },
    )
    const follow = await file.follow()
    file.app.exec("INSERT INTO t VALUES (2, 200, 'sad'), (3, 3, 'cross'), (4, 4, 'sad'); UPDATE t SET age = 6 WHERE id = 1")
    expect(await follow.tick()).toMatchObject({ rejected: 2, atHead: true })
    expect(await file.rows('t')).toEqual([
      [1, 6, 'glad'],
      [4, 4, 'sad'],
    ])
    const { rows } = await file.client.query('SELECT row_key, sqlstate FROM tidemark.move_rejects WHERE run_id = $1 ORDER BY 1', [
      file.copy.runId,
    ])
    expect(rows).toEqual([
      { row_key: 'id=2', sqlstate: '23514' },
      { row_key: 'id=3', sqlstate: '22P02' },
    ])
    await expectSame(file)
    file.app.exec(
      "UPDATE t SET age = 20 WHERE id = 2; UPDATE t SET mood = 'glad' WHERE id = 3; UPDATE t SET age = 1000 WHERE id = 4",
    )
    expect(await follow.tick()).toMatchObject({ rejected: 1, acceptedAgain: 2 })
    await expectSame(file)
  })

  it('keeps what an unfinished live copy set aside when the copy is begun again', async () => {
    await prepare('CREATE TABLE t (id bigint PRIMARY KEY, u text UNIQUE)')
    const map = { t: { to: 't' } }
    const file = await into("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT); INSERT INTO t VALUES (1, 'a')", map)
    const { copyMove } = await import('../copy/copy.js')
    const again = await copyMove(file.plan, { target: { url: files.url }, onExisting: 'replace' })
    expect(again.runId).not.toBe(file.copy.runId)
    expect(await waiting({ ...file, copy: again })).toMatchObject([{ kind: 'unique', name: 't_u_key' }])
    const { planFile } = await import('./testing/followed-file.js')
    const options = { folder: files.folder, url: files.url, schema: files.schema, make: '', map: { version: 1, tables: map } }
    const plain = await planFile(options, file.path, false)
    expect((await copyMove(plain, { target: { url: files.url }, onExisting: 'replace' })).ok).toBe(true)
    expect(await constraints(file)).toEqual(['t_pkey', 't_u_key'])
    await expect(file.client.query(`INSERT INTO ${files.schema}.t VALUES (5, 'mine')`)).resolves.toMatchObject({ rowCount: 1 })
  })
})
