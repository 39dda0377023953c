/** A file of an application with everything that a switch has to deal with, for tests. */
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'

const liveSql = `
  CREATE TABLE authors (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, posts INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE posts (id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES authors (id) ON DELETE CASCADE, title TEXT, body TEXT);
  CREATE TABLE tags (post INTEGER REFERENCES posts (id), name TEXT, PRIMARY KEY (post, name)) WITHOUT ROWID;
  CREATE TABLE notes (text TEXT, at REAL);
  CREATE INDEX posts_author ON posts (author);
  CREATE TRIGGER posts_added AFTER INSERT ON posts BEGIN UPDATE authors SET posts = posts + 1 WHERE id = new.author; END;`

export const fill = (app: Database, { authors = 20, posts = 200 }: { authors?: number; posts?: number } = {}): void => {
  app.transaction(() => {
    for (let i = 1; i <= authors; i++) app.prepare('INSERT INTO authors (id, email) VALUES (?, ?)').run(i, `a${i}@example.org`)
    for (let i = 1; i <= posts; i++) {
      app.prepare('INSERT INTO posts VALUES (?, ?, ?, ?)').run(i, 1 + (i % authors), `Title ${i}`, 'x'.repeat(i % 90))
      app.prepare('INSERT INTO tags VALUES (?, ?)').run(i, `tag ${i % 7}`)
      if (i % 10 === 0) app.prepare('INSERT INTO notes VALUES (?, ?)').run(`note ${i}`, i / 3)
    }
  })()
}

/** Makes the file and leaves it open, as the application has it. */
export const makeLiveFile = (folder: string, name: string, journal: 'WAL' | 'DELETE' = 'WAL'): Database => {
  const app = new BetterSqlite(join(folder, `${name}.db`))
  app.pragma(`journal_mode = ${journal}`)
  app.pragma('synchronous = OFF')
  app.pragma('foreign_keys = ON')
  app.exec(liveSql)
  fill(app)
  return app
}
