/** Random statements of an application against one file that has a table of every kind, most of them in each other's way. */
import { between, type Dice, oneOf } from './random.ts'

export const statementTables = {
  people: ['id', 'email', 'handle', 'born', 'orders', 'photo'],
  orders: ['id', 'person', 'before', 'number', 'part', 'note'],
  lines: ['order_id', 'n', 'text', 'price'],
  words: ['word', 'hits', 'said'],
  pairs: ['a', 'b', 'v'],
  loose: ['text', 'n'],
} as const

type Table = keyof typeof statementTables

const columns: Readonly<Record<Table, string>> = {
  people: `id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE UNIQUE, handle TEXT UNIQUE, born REAL,
    orders INTEGER NOT NULL DEFAULT 0, photo BLOB`,
  orders: `id INTEGER PRIMARY KEY, person INTEGER REFERENCES people (id) ON DELETE CASCADE ON UPDATE CASCADE,
    before INTEGER REFERENCES orders (id) ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
    number INTEGER NOT NULL, part INTEGER NOT NULL, note TEXT, UNIQUE (number, part) ON CONFLICT REPLACE`,
  lines: `order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE, n INTEGER NOT NULL, text TEXT, price REAL,
    PRIMARY KEY (order_id, n)`,
  words: 'word TEXT PRIMARY KEY NOT NULL, hits INTEGER NOT NULL DEFAULT 0 CHECK (hits < 1000), said TEXT',
  pairs: 'a INTEGER NOT NULL, b TEXT NOT NULL, v INTEGER, PRIMARY KEY (b, a)',
  loose: 'text TEXT, n INTEGER',
}

/** It writes to another table, so it stands in the way where that one is made anew. */
const counter =
  'CREATE TRIGGER orders_counted AFTER INSERT ON orders BEGIN UPDATE people SET orders = orders + 1 WHERE id = new.person; END;'

const after: Readonly<Record<Table, string>> = {
  people: '',
  orders: `CREATE INDEX orders_person ON orders (person); ${counter}`,
  lines: '',
  words: `CREATE UNIQUE INDEX words_hits ON words (hits) WHERE hits > 500;
    CREATE UNIQUE INDEX words_said ON words (lower(said));`,
  pairs: 'CREATE UNIQUE INDEX pairs_v ON pairs (v);',
  loose: '',
}

const suffix: Partial<Record<Table, string>> = { lines: ' WITHOUT ROWID', pairs: ' WITHOUT ROWID' }
const names = Object.keys(statementTables) as readonly Table[]
const make = (table: Table, name: string = table): string => `CREATE TABLE ${name} (${columns[table]})${suffix[table] ?? ''};`

export const statementSchema = names.map((table) => `${make(table)} ${after[table]}`).join('\n')

/** As the migrations of Django, Alembic and Prisma change a table. Outside a transaction, with foreign keys off. */
export const rebuild = (table: Table): string => {
  const all = statementTables[table].join(', ')
  const [before, then] = table === 'people' ? ['DROP TRIGGER orders_counted;', counter] : ['', after[table]]
  return `BEGIN IMMEDIATE; ${before} ${make(table, 'made_anew')} INSERT INTO made_anew (${all}) SELECT ${all} FROM ${table};
    DROP TABLE ${table}; ALTER TABLE made_anew RENAME TO ${table}; ${then} COMMIT`
}

export const anyTable = (dice: Dice): Table => oneOf(dice, names)

export type Value = string | number | bigint | Buffer | null
export interface Statement {
  readonly sql: string
  readonly values: readonly Value[]
}

/** The next row from somewhere on, by the function `dice` of the connection, so that a run can be repeated. */
const any = (table: string, key = 'id'): string =>
  `(SELECT ${key} FROM ${table} WHERE ${key} >= (SELECT dice(${table === 'people' ? 1 : -700}, 700)) ORDER BY ${key} LIMIT 1)`
const email = (dice: Dice): string => `${dice() < 0.3 ? 'USER' : 'user'}${between(dice, 1, 300)}@example.com`
const text = (dice: Dice): string | null =>
  oneOf(dice, [null, '', "it's", 'Grüße 🙂', '\\N', '\t', 'x'.repeat(between(dice, 1, 400))])
const real = (dice: Dice): number | null => oneOf(dice, [null, 0.1 + 0.2, -0.5, 1e300, 5e-324, dice() * 1e6])
const insert = (dice: Dice): string =>
  oneOf(dice, ['INSERT', 'INSERT OR REPLACE', 'INSERT OR IGNORE', 'INSERT OR FAIL', 'INSERT OR ABORT'])
const update = (dice: Dice): string => oneOf(dice, ['UPDATE', 'UPDATE OR REPLACE', 'UPDATE OR IGNORE', 'UPDATE OR FAIL'])
const s = (sql: string, ...values: readonly Value[]): Statement => ({ sql, values })
type Made = (dice: Dice) => Statement

const people: readonly Made[] = [
  (d) => s(`${insert(d)} INTO people (email, handle, born, photo) VALUES (?, ?, ?, ?)`, email(d), oneOf(d, [null, `h${between(d, 1, 200)}`]), real(d), Buffer.from(`${d()}`)),
  (d) => s(`${insert(d)} INTO people (id, email, handle) VALUES (?, ?, ?)`, between(d, 1, 600), email(d), `h${between(d, 1, 200)}`),
  (d) => s('INSERT INTO people (email, handle) VALUES (?, ?) ON CONFLICT (email) DO UPDATE SET handle = excluded.handle, born = 1', email(d), `h${between(d, 1, 200)}`),
  (d) => s('INSERT INTO people (email, handle) VALUES (?, ?) ON CONFLICT (handle) DO UPDATE SET email = excluded.email, id = people.id + 1', email(d), `h${between(d, 1, 200)}`),
  (d) => s(`${update(d)} people SET email = ? WHERE id % 50 = ?`, email(d), between(d, 0, 49)),
  (d) => s(`${update(d)} people SET id = ? WHERE id = ${any('people')}`, between(d, 1, 600)),
  (d) => s(`${update(d)} people SET id = id + 1 WHERE id BETWEEN ? AND ?`, between(d, 1, 600), between(d, 1, 600)),
  (d) => s('UPDATE people SET born = ?, photo = zeroblob(?) WHERE id % 20 = ?', real(d), between(d, 0, 300), between(d, 0, 19)),
  () => s(`DELETE FROM people WHERE id = ${any('people')}`),
  (d) => s('DELETE FROM people WHERE id > ? RETURNING id', between(d, 500, 700)),
] // biome-ignore format: one statement to a line

const orders: readonly Made[] = [
  (d) => s(`INSERT INTO orders (person, before, number, part, note) VALUES (${any('people')}, ${any('orders')}, ?, ?, ?)`, between(d, 1, 60), between(d, 1, 9), text(d)),
  (d) => s(`${insert(d)} INTO orders (id, person, number, part) VALUES (?, ${any('people')}, ?, ?)`, between(d, 1, 900), between(d, 1, 60), between(d, 1, 9)),
  (d) => s(`INSERT INTO orders (person, number, part) SELECT id, ?, id % 9 FROM people WHERE id > ? ORDER BY id LIMIT 5`, between(d, 1, 60), between(d, 1, 600)),
  (d) => s(`${update(d)} orders SET part = part + 1 WHERE number = ?`, between(d, 1, 60)),
  (d) => s(`${update(d)} orders SET id = -id WHERE number = ?`, between(d, 1, 60)),
  (d) => s(`UPDATE orders SET before = ${any('orders')}, note = ? WHERE number = ?`, text(d), between(d, 1, 60)),
  () => s(`DELETE FROM orders WHERE id = ${any('orders')}`),
  (d) => s('DELETE FROM orders WHERE number = ?', between(d, 1, 60)),
] // biome-ignore format: one statement to a line

const lines: readonly Made[] = [
  (d) => s(`${insert(d)} INTO lines VALUES (${any('orders')}, ?, ?, ?)`, between(d, 1, 6), text(d), real(d)),
  (d) => s(`INSERT INTO lines SELECT id, ?, ?, ? FROM orders WHERE number = ? ON CONFLICT DO UPDATE SET text = excluded.text`, between(d, 1, 6), text(d), real(d), between(d, 1, 60)),
  (d) => s(`${update(d)} lines SET n = ? WHERE order_id = ${any('lines', 'order_id')}`, between(d, 1, 6)),
  () => s(`UPDATE OR REPLACE lines SET order_id = ${any('orders')} WHERE order_id = ${any('lines', 'order_id')}`),
  (d) => s(`DELETE FROM lines WHERE n = ? AND order_id % 5 = ?`, between(d, 1, 6), between(d, 0, 4)),
] // biome-ignore format: one statement to a line

const word = (d: Dice): string => `w${between(d, 1, 150)}`
const words: readonly Made[] = [
  (d) => s(`${insert(d)} INTO words VALUES (?, ?, ?)`, word(d), between(d, 0, 1005), oneOf(d, [null, word(d), word(d).toUpperCase()])),
  (d) => s('INSERT INTO words (word, said) VALUES (?, ?) ON CONFLICT (word) DO UPDATE SET hits = hits + 250, word = excluded.said', word(d), word(d)),
  (d) => s('INSERT INTO words (word) VALUES (?) ON CONFLICT DO NOTHING', word(d)),
  (d) => s(`${update(d)} words SET word = ? WHERE word = ?`, word(d), word(d)),
  (d) => s(`${update(d)} words SET hits = ? WHERE word > ?`, between(d, 0, 600), word(d)),
  (d) => s(`${update(d)} words SET said = ? WHERE word = ?`, word(d).toUpperCase(), word(d)),
  (d) => s(`${update(d)} words SET rowid = ? WHERE word = ?`, between(d, 1, 400), word(d)),
  (d) => s('DELETE FROM words WHERE word = ? OR hits > ?', word(d), between(d, 900, 2000)),
] // biome-ignore format: one statement to a line

const rest: readonly Made[] = [
  (d) => s(`${insert(d)} INTO pairs VALUES (?, ?, ?)`, between(d, 1, 30), `b${between(d, 1, 12)}`, oneOf(d, [null, between(d, 1, 90)])),
  (d) => s(`${update(d)} pairs SET v = v + 1 WHERE a = ?`, between(d, 1, 30)),
  (d) => s(`${update(d)} pairs SET a = ?, b = b || ? WHERE b = ?`, between(d, 1, 30), oneOf(d, ['', 'z']), `b${between(d, 1, 12)}`),
  (d) => s('DELETE FROM pairs WHERE a = ? OR length(b) > 4', between(d, 1, 30)),
  (d) => s('INSERT INTO loose SELECT ?, ? FROM (VALUES (1), (2))', text(d), between(d, 1, 3)),
  (d) => s('INSERT INTO loose (rowid, text, n) VALUES (?, ?, 1)', between(d, 1, 500), text(d)),
  (d) => s(`UPDATE OR REPLACE loose SET rowid = ? WHERE rowid = ${any('loose', 'rowid')}`, between(d, 1, 500)),
  (d) => s('UPDATE loose SET n = n + 1 WHERE rowid % 40 = ?', between(d, 0, 39)),
  (d) => s(`DELETE FROM loose WHERE n > ? OR rowid = ${any('loose', 'rowid')}`, between(d, 4, 9)),
] // biome-ignore format: one statement to a line

const wholes: readonly Made[] = [
  (d) => s(`DELETE FROM ${anyTable(d)}`),
  () => s('UPDATE people SET handle = NULL'),
  () => s('UPDATE OR REPLACE orders SET number = number + 1'),
] // biome-ignore format: one statement to a line

/** One statement; now and then one that hits a whole table. */
export const anyStatement = (dice: Dice): Statement => {
  const made = dice() < 0.001 ? wholes : oneOf(dice, [people, people, orders, orders, lines, words, rest])
  return oneOf(dice, made)(dice)
}
