import type pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../postgres/use-database.js'
import { type Access, type AccessDeclaration, accessMatrix, type TableAccess } from './access-matrix.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client: pg.Client = useClient(database)

const schema = `
  drop schema if exists shop cascade;
  create schema shop;
  grant usage on schema shop to anon, authenticated, service_role;
  create table shop.orders (
    id bigint generated always as identity primary key, owner text not null, note text, tags text[], extra jsonb, unique (owner, note));
  create table shop.lines (order_id bigint not null references shop.orders (id), n int, seen timestamptz, primary key (order_id, n));
  create view shop.notes with (security_invoker = true) as select id, note from shop.orders;
  create function shop.total(owner text) returns bigint language sql stable as 'select count(*) from shop.orders';
  alter table shop.orders enable row level security;
  alter table shop.lines enable row level security;
  revoke all on all tables in schema shop from anon, authenticated, service_role;
  grant select, insert, update, delete on shop.orders, shop.lines to authenticated, service_role;
  grant select on shop.notes to authenticated, service_role;
  revoke execute on function shop.total(text) from public, service_role;
  grant execute on function shop.total(text) to authenticated;
  create policy owner on shop.orders to authenticated using (owner = (select auth.jwt() ->> 'sub') or (select tidemark.is_admin()));
  create policy parent on shop.lines to authenticated
    using (exists (select from shop.orders o where o.id = lines.order_id))
    with check (exists (select from shop.orders o where o.id = lines.order_id));`

const access = { anon: 'denied', ann: 'own', ben: 'own', admin: 'all', service: 'all' } as const satisfies Record<string, Access>
const readOnly = (who: Access) => ({ select: who, insert: 'denied', update: 'denied', delete: 'denied' }) as const

type Name = keyof typeof access
type Owner = 'ann' | 'ben'

const tables: Record<'orders' | 'lines' | 'notes', TableAccess<Owner, Name>> = {
  orders: {
    row: ({ owner }) => ({
      owner,
      note: `${owner} ${Math.random()}`,
      tags: ['a', 'b'],
      extra: ['not', 'an', 'array', 'of', 'Postgres'],
    }),
    owner: 'owner',
    access,
  },
  lines: {
    row: ({ rows }) => ({ order_id: rows['orders']?.['id'], n: Math.floor(Math.random() * 1e9), seen: new Date() }),
    owner: 'order_id',
    access,
  },
  notes: {
    find: ({ rows }) => ({ id: rows['orders']?.['id'] }),
    access: { anon: 'denied', ann: readOnly('own'), ben: readOnly('own'), admin: readOnly('all'), service: readOnly('all') },
  },
}

const declaration: AccessDeclaration<Owner, Name> = {
  schema: 'shop',
  owners: ['ann', 'ben'],
  callers: {
    anon: { role: 'anon' },
    ann: { role: 'authenticated', claims: { sub: 'ann' }, owner: 'ann' },
    ben: { role: 'authenticated', claims: { sub: 'ben' }, owner: 'ben' },
    admin: { role: 'authenticated', claims: { sub: 'boss', app_metadata: { role: 'admin' } } },
    service: { role: 'service_role' },
  },
  tables,
  functions: { 'total(text)': ['ann', 'ben', 'admin'] },
}

/** Every line that some case complains of, after the statement that breaks the schema. */
const complaints = async (sql = '', declared: AccessDeclaration<Owner, Name> = declaration): Promise<readonly string[]> => {
  if (sql !== '') await client.query(sql)
  const all: string[] = []
  for (const { name, run } of accessMatrix(declared).cases)
    await run(client).catch((error: Error) => {
      all.push(
        ...(error.message.includes('\n- ') ? error.message.split('\n- ').slice(1) : [error.message]).map(
          (line) => `${name}: ${line}`,
        ),
      )
    })
  return all
}

beforeEach(() => client.query(schema))

describe('an access matrix', () => {
  it('passes where the schema does what it declares, and leaves nothing behind', async () => {
    expect(await complaints()).toEqual([])
    expect((await client.query('select from shop.orders')).rowCount).toBe(0)
    expect((await client.query('select current_user = session_user as same')).rows).toEqual([{ same: true }])
  })

  it('tells tables by what they hold besides', async () => {
    await client.query("insert into shop.orders (owner, note) values ('somebody', 'older')")
    expect(await complaints()).toEqual([])
  })

  it.each([
    [
      'a table',
      'create table shop.more (id int primary key)',
      'names every table and function of shop: table more is not declared.',
    ],
    ['a view', 'create view shop.more as select 1 as id', 'names every table and function of shop: table more is not declared.'],
    [
      'a function',
      'create function shop.more(a int, b text[]) returns int language sql as $$ select 1 $$; revoke all on function shop.more from public',
      'names every table and function of shop: function more(integer, text[]) is not declared.',
    ],
    ['what is gone', 'drop view shop.notes', 'names every table and function of shop: table notes is declared and not there.'],
  ])('fails for %s that it does not name', async (_what, sql, line) => {
    expect(await complaints(sql)).toContain(line)
  })

  it('does not ask for trigger functions and partitions', async () => {
    expect(
      await complaints(`
        create function shop.touch() returns trigger language plpgsql as 'begin return new; end'`),
    ).toEqual([])
  })
})

describe('it sees', () => {
  it('row security that is off', async () => {
    const lines = await complaints('alter table shop.orders disable row level security')
    expect(lines).toContainEqual(
      expect.stringMatching(/^SEC-1.*shop\.orders: authenticated may read, insert, update and delete every row/),
    )
    for (const operation of ['select', 'insert', 'update', 'delete'])
      expect(lines).toContainEqual(
        expect.stringMatching(new RegExp(`^orders, ann: ${operation} of ben's row by ann is declared 'own', but`)),
      )
    // What hangs on it is open with it.
    expect(lines).toContainEqual(
      expect.stringMatching(/^lines, ann: select of ben's row by ann is declared 'own', but it passed/),
    )
  })

  it('a grant too many, and one too few', async () => {
    expect(await complaints('grant select on shop.orders to anon')).toEqual([
      "orders, anon: select of ann's row by anon is declared 'denied', but it ran and found nothing (0 row(s)).",
      "orders, anon: select of ben's row by anon is declared 'denied', but it ran and found nothing (0 row(s)).",
    ])
    const fewer = await complaints('revoke all on shop.orders from anon; revoke delete on shop.orders from authenticated')
    expect(fewer).toHaveLength(9)
    expect(fewer[0]).toMatch(/^orders, ann: delete of ann's row by ann is declared 'own', but no grant allows it \(42501: /)
  })

  it('an update that gives a row away, for the new row counts as well', async () => {
    const mine = "owner = (select auth.jwt() ->> 'sub') or (select tidemark.is_admin())"
    const lines = await complaints(
      `drop policy owner on shop.orders; create policy owner on shop.orders to authenticated using (${mine}) with check (true)`,
    )
    // Where a row has to be found first, the new one has to pass the policies of SELECT; so it shows only without a condition.
    expect(lines.filter((line) => line.includes('ann:'))).toEqual([
      "orders, ann: insert of ben's row by ann is declared 'own', but it passed (1 row(s)).",
      "orders, ann: update that gives everything to ben by ann is declared 'own', but it passed (1 row(s)).",
    ])
    const readable = await complaints('create policy all_read on shop.orders for select to authenticated using (true)')
    expect(readable).toContain(
      "orders, ann: update that gives ann's row to ben by ann is declared 'own', but it passed (1 row(s)).",
    )
  })

  it('writes without a condition, which no policy of SELECT holds', async () => {
    const split = (command: string, using: string) =>
      `create policy on_${command} on shop.lines for ${command} to authenticated ${using};`
    const parent = 'exists (select from shop.orders o where o.id = lines.order_id)'
    const lines = await complaints(
      `drop policy parent on shop.lines; ${split('select', `using (${parent})`)} ${split('insert', `with check (${parent})`)}
       ${split('update', `using (true) with check (${parent})`)} ${split('delete', 'using (true)')}`,
    )
    expect(lines.filter((line) => line.includes('ann:'))).toEqual([
      'lines, ann: update of everything by ann is declared \'own\', but a policy refused it (42501: new row violates row-level security policy for table "lines").',
      "lines, ann: delete of everything by ann is declared 'own', but touched 2 of 2 rows.",
    ])
  })

  it('what policies let pass and only a constraint refuses', async () => {
    const lines = await complaints(
      `insert into shop.orders (owner, note) values ('ben', 'same'); create unique index one_each on shop.orders (owner) where note <> 'same';
       create policy everything on shop.orders to authenticated using (true)`,
    )
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^orders, ann: update that gives ann's row to ben by ann is declared 'own', but no policy refused it, only a constraint \(23505/,
      ),
    )
  })

  it('rows that nobody declared', async () => {
    await client.query("insert into shop.orders (owner, note) values ('somebody', 'older')")
    expect(await complaints("create policy older on shop.orders for select to authenticated using (note = 'older')")).toEqual([])
    const strict = {
      ...declaration,
      tables: { ...tables, orders: { ...tables.orders, access: { ...access, ben: 'none' as const } } },
    }
    expect(await complaints('', strict)).toContain(
      "orders, ben: select of everything by ben is declared 'none', but gave 2 of 3 rows.",
    )
  })

  it('functions that may be called, or may not', async () => {
    expect(await complaints('grant execute on function shop.total(text) to public')).toEqual([
      'functions, anon: anon may execute total(text), and should not.',
      'functions, service: service may execute total(text), and should not.',
    ])
    expect(await complaints('revoke execute on function shop.total(text) from public, authenticated')).toHaveLength(3)
  })

  it('views that read above their caller, TRUNCATE, and definer functions without a search_path', async () => {
    const lines = await complaints(`
      alter view shop.notes set (security_invoker = false); grant truncate on shop.lines to authenticated;
      alter function shop.total(text) security definer`)
    expect(lines.filter((line) => line.startsWith('SEC-1')).map((line) => line.split(': ')[2])).toEqual([
      'shop.notes',
      'shop.total(text)',
      'shop.lines',
    ])
    expect(lines).toContainEqual(
      expect.stringMatching(/^notes, ann: select of ben's row by ann is declared 'own', but it passed/),
    )
  })
})

describe('a declaration that says too little', () => {
  const only = (orders: TableAccess<Owner, Name>, sql = '') => complaints(sql, { ...declaration, tables: { ...tables, orders } })

  it('is told what is missing', async () => {
    const { owner: _owner, ...without } = tables.orders
    expect(await only(without)).toEqual([
      "orders, ann: update by ann is declared 'own': name the columns of the owner in `owner`.",
      "orders, ben: update by ben is declared 'own': name the columns of the owner in `owner`.",
    ])
    const { anon: _anon, ...fewer } = access
    expect(await only({ ...tables.orders, access: fewer as typeof access })).toEqual([
      'orders, anon: orders says nothing of anon.',
    ])
    expect(await only({ ...tables.orders, access: { ...access, admin: 'own' } })).toContain(
      "orders, admin: select by admin is declared 'own', but admin owns nothing.",
    )
  })

  it('C2: whoever only says that it is an admin gets nothing', async () => {
    const callers = {
      ...declaration.callers,
      admin: { role: 'authenticated', claims: { sub: 'x', user_metadata: { role: 'admin' } } },
    }
    const lines = await complaints('', { ...declaration, callers })
    expect(lines).toContainEqual(
      expect.stringMatching(/^orders, admin: select of ann's row by admin is declared 'all', but it ran and found nothing/),
    )
    expect(lines).toContainEqual(
      expect.stringMatching(/^orders, admin: insert of ann's row by admin is declared 'all', but a policy refused it/),
    )
  })
})
