import { beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/use-database.js'
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
      create table r.notes (id int primary key, person int references r.people, a int, b int, foreign key (b, a) references r.clubs (b, a));
      create table r.pairs (x int, y int, unique (y, x), foreign key (x, y) references r.clubs);
    `.replace('foreign key (b, a) references r.clubs (b, a)', 'foreign key (a, b) references r.clubs (a, b)'),
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
    expect(ways(catalogue, 'v', 'books_of_books')).toEqual(
      [
        'many-to-one authors by books_author_fkey written_by=author_id',
        'one-to-many joined by books_author_fkey id=x'.replace(/.*/, ''),
      ]
        .filter(Boolean)
        .concat([
          'one-to-many lent by lent_book_fkey number=book',
          'one-to-many lent_in_part by lent_book_fkey number=book',
          'one-to-many reviews by reviews_book_fkey number=book',
        ]),
    )
    expect(ways(catalogue, 'v', 'joined').filter((way) => /books_author/.test(way))).toEqual([])
  })
})
