import type { Database } from 'better-sqlite3'

export const rowsPerTable = 3000

/** One table for each way in which rows find each other: whole numbers, pairs, text, the rowid, nothing. */
export const makeAllKeys = (writer: Database, rows = rowsPerTable): void => {
  writer.exec(`
    CREATE TABLE by_id (id INTEGER PRIMARY KEY, n INTEGER, v TEXT);
    CREATE TABLE by_pair (a INTEGER, b INTEGER, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
    CREATE TABLE by_text (k TEXT PRIMARY KEY, n INTEGER);
    CREATE TABLE keyless (a INTEGER, v TEXT);
    CREATE TABLE nameless (rowid TEXT, oid TEXT, _rowid_ INTEGER);
    CREATE TABLE empty (id INTEGER PRIMARY KEY, v TEXT)`)
  const inserts = [
    'INSERT INTO by_id (n, v) VALUES (?, ?)',
    'INSERT INTO by_pair VALUES (?, ?, ?)',
    'INSERT INTO by_text VALUES (?, ?)',
    'INSERT INTO keyless VALUES (?, ?)',
    'INSERT INTO nameless VALUES (?, ?, ?)',
  ].map((sql) => writer.prepare(sql))
  writer.transaction(() => {
    for (let i = 0; i < rows; i++) {
      inserts[0]!.run(i, `row ${i}`)
      inserts[1]!.run(i % 10, Math.floor(i / 10), `pair ${i}`)
      inserts[2]!.run(`key ${(i * 7919) % rows}`, i)
      inserts[3]!.run(i % 50, `text ${i % 500}`)
      if (i < rows / 6) inserts[4]!.run(`a${i % 7}`, `b${i % 3}`, i % 5)
    }
  })()
}
