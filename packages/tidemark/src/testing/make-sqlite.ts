import BetterSqlite, { type Database } from 'better-sqlite3'

/** Writes a SQLite file, by SQL or by hand, and closes it; gives its path. */
export const makeSqlite = (path: string, make: string | ((writer: Database) => void)): string => {
  const writer = new BetterSqlite(path)
  if (typeof make === 'string') writer.exec(make)
  else make(writer)
  writer.close()
  return path
}
