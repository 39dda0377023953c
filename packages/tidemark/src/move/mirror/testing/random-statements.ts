/** Random statements of Postgres against a handful of tables of every kind, as fast-check draws them. */
import fc from 'fast-check'

export const randomTables = `
  CREATE TABLE keyed (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER UNIQUE, v TEXT, d DATETIME, x BLOB, price DECIMAL(10,2));
  CREATE TABLE child (id INTEGER PRIMARY KEY, keyed INTEGER REFERENCES keyed (id) ON DELETE CASCADE ON UPDATE CASCADE, v TEXT);
  CREATE TABLE pair (a TEXT, b INTEGER, v REAL, PRIMARY KEY (a, b)) WITHOUT ROWID;
  CREATE TABLE loose (a INTEGER, v TEXT);
  INSERT INTO keyed (id, n, v, d, x, price) VALUES (1, 1, 'a', '2024-01-02 03:04:05', x'00', 1.5), (2, 2, 'b', NULL, NULL, 2), (3, 3, NULL, NULL, x'ff', NULL);
  INSERT INTO child VALUES (1, 1, 'x'), (2, 2, 'y'), (3, NULL, NULL);
  INSERT INTO pair VALUES ('k', 1, 0.5), ('K', 1, NULL), ('l', 2, 1e300);
  INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, NULL), (NULL, 'z');`

/** Makes the constraints that let unique values pass each other within a transaction. */
export const randomTargets = `
  ALTER TABLE keyed DROP CONSTRAINT keyed_n_key;
  ALTER TABLE keyed ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED;`

const small = fc.integer({ min: 1, max: 12 })
const text = fc.constantFrom("'a'", "'b'", "''", 'NULL', "'it''s 🙂'", "repeat('long', 900)", "'1'", "' '")
const statement: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(small, text).map(([n, v]) => `INSERT INTO keyed (n, v) VALUES (${n}, ${v})`),
  fc.tuple(small, small, text).map(([id, n, v]) => `INSERT INTO keyed (id, n, v) VALUES (${id}, ${n}, ${v}) ON CONFLICT (id) DO UPDATE SET v = excluded.v`),
  fc.tuple(small, small).map(([a, b]) => `UPDATE keyed SET n = CASE n WHEN ${a} THEN ${b} ELSE ${a} END WHERE n IN (${a}, ${b})`),
  fc.constantFrom(1, -1, 3).map((step) => `UPDATE keyed SET n = n + ${step}`),
  fc.tuple(small, small).map(([a, b]) => `UPDATE keyed SET id = ${b} WHERE id = ${a} AND NOT EXISTS (SELECT FROM keyed WHERE id = ${b})`),
  fc.tuple(small, text).map(([id, v]) => `UPDATE keyed SET v = ${v}, d = '2025-01-01 00:00:00', x = '\\x0102' WHERE id = ${id}`),
  small.map((id) => `UPDATE keyed SET price = ${id}.25, d = NULL WHERE id = ${id}`),
  small.map((id) => `DELETE FROM keyed WHERE id = ${id}`),
  fc.tuple(small, small, text).map(([id, keyed, v]) => `INSERT INTO child SELECT ${id}, (SELECT id FROM keyed WHERE id = ${keyed}), ${v} ON CONFLICT DO NOTHING`),
  fc.tuple(small, text).map(([id, v]) => `UPDATE child SET v = ${v} WHERE id >= ${id}`),
  small.map((id) => `DELETE FROM child WHERE id = ${id}`),
  fc.tuple(fc.constantFrom('k', 'K', 'm'), small, fc.double({ noNaN: true, noDefaultInfinity: true })).map(([a, b, v]) => `INSERT INTO pair VALUES ('${a}', ${b}, ${v}) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v`),
  fc.tuple(small, small).map(([a, b]) => `UPDATE pair SET b = b + ${a} WHERE b > ${b} AND NOT EXISTS (SELECT FROM pair AS p WHERE p.b = pair.b + ${a})`),
  small.map((b) => `DELETE FROM pair WHERE b = ${b}`),
  fc.tuple(small, text).map(([a, v]) => `INSERT INTO loose SELECT ${a}, ${v} FROM generate_series(1, 2)`),
  small.map((a) => `UPDATE loose SET v = v || 'u' WHERE ctid = (SELECT min(ctid) FROM loose WHERE a <= ${a})`),
  small.map((a) => `DELETE FROM loose WHERE ctid = (SELECT max(ctid) FROM loose WHERE a <= ${a})`),
  fc.constantFrom('TRUNCATE loose', 'TRUNCATE keyed CASCADE', 'TRUNCATE pair'),
) // biome-ignore format: one statement a line reads better

/** Transactions; one that Postgres refuses is rolled back there. */
export const randomTransactions = (count: number): fc.Arbitrary<readonly (readonly string[])[]> =>
  fc.array(fc.array(statement, { minLength: 1, maxLength: 6, size: 'max' }), { minLength: count, maxLength: count, size: 'max' })
