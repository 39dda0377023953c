import { beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type { Catalogue, Relationship } from '../catalogue.js'
import { type ReadCatalogueOptions, readCatalogue } from './read-catalogue.js'

const database = useDatabase()
const client = useClient(database)

const read = (schema: string, more: Partial<ReadCatalogueOptions> = {}): Promise<Catalogue> =>
  readCatalogue(client, { schemas: [schema], extraSearchPath: ['extra'], timezones: new Set(), ...more })

const pairs = (columns: readonly (readonly [string, string])[]): string => columns.map((pair) => pair.join('=')).join(',')

/** A relationship on one line. */
const line = (way: Relationship): string => {
  const to = way.to.schema === way.from.schema ? way.to.name : `${way.to.schema}.${way.to.name}`
  if (way.kind === 'computed') return `${way.toOne ? 'one' : 'many'} ${to} by ${way.function.name}()`
  if (way.kind === 'many-to-many') {
    const { junction, constraints, fromColumns, toColumns } = way
    return `${way.kind} ${to} by ${junction.name} (${constraints.join(', ')}) ${pairs(fromColumns)} ${pairs(toColumns)}`
  }
  const side = way.kind === 'one-to-one' ? (way.parent ? ' ours' : ' theirs') : ''
  return `${way.kind}${side} ${to} by ${way.constraint} ${pairs(way.columns)}`
}

const ways = (catalogue: Catalogue, schema: string, name: string): readonly string[] =>
  catalogue.relationships({ schema, name }).map(line)

describe('relationships', () => {
  beforeAll(() =>
    client.query(
      `
      create schema r;
      create table r.countries (code text primary key);
      create table r.people (id int primary key, boss int references r.people,
        country text references r.countries, born text references r.countries);
      create table r.passports (person int primary key references r.people, number text unique);
      create table r.badges (id int primary key, person int unique references r.people);
      create table r.clubs (a int, b int, primary key (a, b));
      create table r.members (person int references r.people, a int, b int, primary key (person, a, b),
        foreign key (a, b) references r.clubs);
      create table r.notes (id int primary key, person int references r.people, a int, b int, foreign key (a, b) references r.clubs);
      create table r.pairs (x int, y int, unique (y, x), foreign key (x, y) references r.clubs);
    `,
    ),
  )

  it('lead along each foreign key in both directions, through junctions, and to the table itself', async () => {
    expect(ways(await read('r'), 'r', 'people')).toEqual([
      'one-to-one theirs badges by badges_person_fkey id=person',
      'many-to-many clubs by members (members_person_fkey, members_a_b_fkey) id=person a=a,b=b',
      'many-to-one countries by people_born_fkey born=code',
      'many-to-one countries by people_country_fkey country=code',
      'one-to-many members by members_person_fkey id=person',
      'one-to-many notes by notes_person_fkey id=person',
      'one-to-one theirs passports by passports_person_fkey id=person',
      'one-to-many people by people_boss_fkey id=boss',
      'many-to-one people by people_boss_fkey boss=id',
    ])
  })

  it('of composite keys keep their pairs, and are one to one where the columns are unique in any order', async () => {
    const catalogue = await read('r')
    expect(ways(catalogue, 'r', 'clubs')).toEqual([
      'one-to-many members by members_a_b_fkey a=a,b=b',
      'one-to-many notes by notes_a_b_fkey a=a,b=b',
      'one-to-one theirs pairs by pairs_x_y_fkey a=x,b=y',
      'many-to-many people by members (members_a_b_fkey, members_person_fkey) a=a,b=b id=person',
    ])
    expect(ways(catalogue, 'r', 'pairs')).toEqual(['one-to-one ours clubs by pairs_x_y_fkey x=a,y=b'])
  })

  it('need no junction where its key does not hold both foreign keys', async () => {
    const clubs = ways(await read('r'), 'r', 'clubs')
    expect(clubs.filter((way) => way.includes('by notes ('))).toEqual([])
  })
})

describe('relationships of partitioned tables', () => {
  beforeAll(() =>
    client.query(`
      create schema p;
      create table p.regions (name text primary key);
      create table p.sales (region text references p.regions, id int, primary key (region, id)) partition by list (region);
      create table p.sales_eu partition of p.sales for values in ('eu');
      create table p.returns (region text, id int, foreign key (region, id) references p.sales);
      create view p.eu as select * from p.sales_eu;
    `),
  )

  it('are those of the whole, not of its parts', async () => {
    const catalogue = await read('p')
    expect(ways(catalogue, 'p', 'sales')).toEqual([
      'many-to-one regions by sales_region_fkey region=name',
      'one-to-many returns by returns_region_id_fkey region=region,id=id',
    ])
    expect(ways(catalogue, 'p', 'regions')).toEqual(['one-to-many sales by sales_region_fkey name=region'])
    expect(catalogue.table('p', 'sales_eu')).toBeUndefined()
    expect(ways(catalogue, 'p', 'eu')).toEqual([])
  })
})

describe('relationships through views', () => {
  beforeAll(() =>
    client.query(`
      create schema base; create schema v; create schema extra; create schema elsewhere;
      create table base.authors (id int primary key, name text);
      create table base.books (id int primary key, author int references base.authors, editor int references base.authors, title text);
      create table base.lent (book int references base.books, reader int, day date, primary key (book, reader));
      create view v.authors as select name, id as author_id from base.authors;
      create view v.books as select b.*, b.author as written_by from base.books b;
      create view v.books_of_books as select id as number, written_by from v.books where title <> '';
      create view v.joined as
        with named as (select a.id, a.name from base.authors a)
        select b.id, n.id as author, n.name from base.books b join named n on n.id = b.author;
      create view v.computed as select id + 0 as id, coalesce(author, 0) as author from base.books;
      create view v.titles as select title from base.books;
      create view v.either as select id, author from base.books union all select id, editor from base.books;
      create view v.sub as select s.id, (select max(x.id) from base.books x) as author from (select id, author from base.books) s;
      create materialized view v.kept as select id, author from base.books;
      create view extra.inner_books as select id, author from base.books;
      create view elsewhere.inner_books as select id, author from base.books;
      create view v.over_extra as select * from extra.inner_books;
      create view v.over_elsewhere as select * from elsewhere.inner_books;
      create view v.lent as select * from base.lent;
      create view v.lent_in_part as select book, day from base.lent;
      create table v.reviews (id int primary key, book int references base.books);
    `),
  )

  it('follow a column that a view shows as it is, also under another name, through views, joins, subqueries and WITH', async () => {
    const catalogue = await read('v')
    expect(ways(catalogue, 'v', 'books_of_books')).toEqual([
      'many-to-one authors by books_author_fkey written_by=author_id',
      'many-to-one joined by books_author_fkey written_by=author',
      'one-to-many lent by lent_book_fkey number=book',
      'one-to-many lent_in_part by lent_book_fkey number=book',
      'one-to-many reviews by reviews_book_fkey number=book',
    ])
    // It shows an author's id and a book's, and no column of books that is a foreign key.
    expect(ways(catalogue, 'v', 'joined').filter((way) => way.startsWith('many-to-one'))).toEqual([])
    expect(ways(catalogue, 'v', 'joined')).toContain('one-to-many reviews by reviews_book_fkey id=book')
    expect(ways(catalogue, 'v', 'joined')).toContain('one-to-many kept by books_author_fkey author=author')
    expect(ways(catalogue, 'v', 'kept')).toContain('many-to-one authors by books_author_fkey author=author_id')
    expect(ways(catalogue, 'v', 'reviews')).toContain('many-to-one sub by reviews_book_fkey book=id')
  })

  it('end at an expression, an aggregate or a UNION', async () => {
    const catalogue = await read('v')
    for (const name of ['computed', 'titles', 'either']) expect(ways(catalogue, 'v', name)).toEqual([])
    expect(ways(catalogue, 'v', 'sub').filter((way) => way.includes('author'))).toEqual([])
  })

  it('are as many as a view shows the column times', async () => {
    const catalogue = await read('v')
    expect(ways(catalogue, 'v', 'books').filter((way) => way.includes(' authors '))).toEqual([
      'many-to-one authors by books_author_fkey author=author_id',
      'many-to-one authors by books_author_fkey written_by=author_id',
      'many-to-one authors by books_editor_fkey editor=author_id',
    ])
  })

  it('go through views of the extra search path, and of no other schema', async () => {
    const catalogue = await read('v')
    expect(ways(catalogue, 'v', 'over_extra')).toContain('many-to-one authors by books_author_fkey author=author_id')
    expect(ways(catalogue, 'v', 'over_elsewhere')).toEqual([])
  })

  it('need every column of the key, as a junction does', async () => {
    const catalogue = await read('v')
    expect(catalogue.table('v', 'lent')?.primaryKey).toEqual(['book', 'reader'])
    expect(catalogue.table('v', 'lent_in_part')?.primaryKey).toEqual([])
    expect(catalogue.table('v', 'books')?.primaryKey).toEqual(['id'])
    expect(catalogue.table('v', 'joined')?.primaryKey).toEqual(['id', 'author'])
  })

  it('stay inside the exposed schemas', async () => {
    const catalogue = await readCatalogue(client, { schemas: ['v', 'base'], extraSearchPath: [], timezones: new Set() })
    expect(ways(catalogue, 'v', 'reviews')).toContain('many-to-one base.books by reviews_book_fkey book=id')
    expect((await read('v')).relationships({ schema: 'base', name: 'books' })).toEqual([])
  })
})

describe('relationships through a view that is a junction', () => {
  beforeAll(() =>
    client.query(`
      create schema j; create schema jbase;
      create table j.users (id int primary key);
      create table j.tasks (id int primary key);
      create table jbase.users_tasks (user_id int references j.users, task_id int references j.tasks, primary key (user_id, task_id));
      create view j.done as select user_id as who, task_id as what from jbase.users_tasks;
      create view j.halves as select user_id, 1 as task_id from jbase.users_tasks;
      create view j.people as select id as nr from j.users;
    `),
  )

  it('lead across, views at the ends included', async () => {
    const catalogue = await read('j')
    expect(ways(catalogue, 'j', 'users')).toEqual([
      'one-to-many done by users_tasks_user_id_fkey id=who',
      'one-to-many halves by users_tasks_user_id_fkey id=user_id',
      'many-to-many tasks by done (users_tasks_user_id_fkey, users_tasks_task_id_fkey) id=who id=what',
    ])
    expect(ways(catalogue, 'j', 'tasks')).toEqual([
      'one-to-many done by users_tasks_task_id_fkey id=what',
      'many-to-many people by done (users_tasks_task_id_fkey, users_tasks_user_id_fkey) id=what nr=who',
      'many-to-many users by done (users_tasks_task_id_fkey, users_tasks_user_id_fkey) id=what id=who',
    ])
  })
})

describe('names that need quotes', () => {
  // As long as a name may be.
  const long = `${'ä'.repeat(31)}x`
  beforeAll(() =>
    client.query(`
      create schema "Odd.Schema";
      create table "Odd.Schema"."a ""b"" {c}" ("Id, (x)" int primary key, ":resno 7" int, "open ({(" int, "back\\slash" int, "${long}" int);
      create table "Odd.Schema"."日本.表" ("select" int references "Odd.Schema"."a ""b"" {c}", "__proto__" int);
      create view "Odd.Schema"."${long}" as
        select ":resno 7", "back\\slash" as "} ) :resorigtbl 5", "Id, (x)" as "{key}", "${long}" as "<>" from "Odd.Schema"."a ""b"" {c}";
      create type "Odd.Schema"."My Type" as enum ('it''s', '"x"');
      create table "Odd.Schema"."T" (c "Odd.Schema"."My Type" default 'it''s');
    `),
  )

  it('are read as they are', async () => {
    const catalogue = await read('Odd.Schema')
    expect(catalogue.tables('Odd.Schema').map(({ name }) => name)).toEqual(['T', 'a "b" {c}', '日本.表', long].toSorted())
    expect(ways(catalogue, 'Odd.Schema', '日本.表')).toEqual([
      `many-to-one a "b" {c} by 日本.表_select_fkey select=Id, (x)`,
      `many-to-one ${long} by 日本.表_select_fkey select={key}`,
    ])
    expect(catalogue.table('Odd.Schema', long)?.primaryKey).toEqual(['{key}'])
    expect(catalogue.table('Odd.Schema', '日本.表')?.columns.get('__proto__')?.type).toBe('integer')
    const column = catalogue.table('Odd.Schema', 'T')?.columns.get('c')
    expect(column).toMatchObject({ type: '"Odd.Schema"."My Type"', enumValues: ["it's", '"x"'] })
    expect(catalogue.typeName('"Odd.Schema"."My Type"[]')).toBe('"Odd.Schema"."My Type"[]')
  })
})

describe('computed relationships and columns', () => {
  beforeAll(() =>
    client.query(`
      create schema c; create schema cextra;
      create table c.authors (id int primary key, first text, last text);
      create table c.books (id int primary key, author int references c.authors);
      create function c.author(c.books) returns setof c.authors rows 1 stable language sql as 'select * from c.authors where id = $1.author';
      create function c.books(c.authors) returns setof c.books stable language sql as 'select * from c.books where author = $1.id';
      create function c.first_book(c.authors) returns c.books stable language sql as 'select * from c.books where author = $1.id limit 1';
      create function c.full_name(c.authors) returns text stable language sql as $$select $1.first || ' ' || $1.last$$;
      create function cextra.full_name(c.authors) returns int stable language sql as 'select 1';
      create function cextra.initials(c.authors) returns varchar stable language sql as 'select left($1.first, 1)';
      create function cextra.plain(int) returns int language sql as 'select 1';
      create function c.names(c.authors) returns setof text language sql as 'select $1.first';
      create function c.two(c.authors, c.books) returns text language sql as 'select $1.first';
    `),
  )
  const computed = () => read('c', { extraSearchPath: ['cextra'] })

  it('are functions of one row; one with the name of a relation takes the place of what leads there', async () => {
    const catalogue = await computed()
    expect(ways(catalogue, 'c', 'authors')).toEqual(['many books by books()', 'one books by first_book()'])
    expect(ways(catalogue, 'c', 'books')).toEqual([
      'many-to-one authors by books_author_fkey author=id',
      'one authors by author()',
    ])
  })

  it('give a value where it is one, from the schema that comes first', async () => {
    const catalogue = await computed()
    const authors = { schema: 'c', name: 'authors' }
    expect(catalogue.computedColumn(authors, 'full_name')).toEqual({
      relation: authors,
      function: { schema: 'c', name: 'full_name' },
      name: 'full_name',
      type: 'text',
      category: 'S',
    })
    expect(catalogue.computedColumn(authors, 'initials')?.function.schema).toBe('cextra')
    for (const name of ['names', 'two', 'plain', 'id']) expect(catalogue.computedColumn(authors, name)).toBeUndefined()
    expect(catalogue.functions('cextra', 'initials')).toEqual([])
  })
})
