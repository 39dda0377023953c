import type { Quirk } from './quirk.js'

const long = (ending: string): string => `a_name_that_is_much_longer_than_the_sixty_three_bytes_of_postgres_${ending}`

/** Names that need quotes, that Postgres keeps for itself, or that it would cut. */
export const nameQuirks: readonly Quirk[] = [
  {
    name: 'reserved words as names of tables and columns',
    make: 'CREATE TABLE "user" ("select" INTEGER, "table" TEXT, "end" REAL, "default" TEXT, "analyse" TEXT); CREATE TABLE "order" ("group" INTEGER PRIMARY KEY, "limit" INTEGER); INSERT INTO "user" VALUES (1, \'a\', 0.5, NULL, NULL); INSERT INTO "order" VALUES (1, 2);',
    expect: {
      account: { user: { rows: 1 }, order: { rows: 1 } },
      probes: [{ sql: 'SELECT "select", "table" FROM "user"', rows: [['1', 'a']] }],
    },
  },
  {
    name: 'blanks, quotes, dots and backslashes in names',
    make: (database) => {
      database.exec(
        `CREATE TABLE "my table" ("a b" INTEGER, "c""d" TEXT, "e.f" TEXT, "g\\h" TEXT, "i'j" TEXT, "%s" TEXT, "$1" TEXT, "k;--" TEXT)`,
      )
      database.exec(
        `CREATE UNIQUE INDEX "my index" ON "my table" ("c""d", "i'j"); INSERT INTO "my table" VALUES (1, 'q', 'd', 'b', 's', 'p', 'm', 'c')`,
      )
      database.exec(`CREATE TABLE "it's ""it""" (x INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO "it's ""it""" VALUES (5)`)
    },
    expect: {
      account: { 'my table': { rows: 1 }, 'it\'s "it"': { rows: 1 } },
      probes: [
        { sql: 'SELECT "a b", "c""d", "e.f" FROM "my table"', rows: [['1', 'q', 'd']] },
        { sql: `INSERT INTO "it's ""it""" DEFAULT VALUES RETURNING x`, rows: [['6']] },
      ],
    },
  },
  {
    name: 'mixed case is kept',
    make: "CREATE TABLE UserProfile (UserId INTEGER PRIMARY KEY, displayName TEXT); INSERT INTO UserProfile VALUES (1, 'x');",
    expect: {
      names: { UserProfile: 'UserProfile', 'UserProfile.displayName': 'displayName' },
      account: { UserProfile: { rows: 1 } },
      probes: [{ sql: 'SELECT "displayName" FROM "UserProfile"', rows: [['x']] }],
    },
  },
  {
    name: 'mixed case is folded by choice',
    make: "CREATE TABLE UserProfile (UserId INTEGER PRIMARY KEY, displayName TEXT, CHECK (UserId > 0)); CREATE INDEX ByName ON UserProfile (displayName); INSERT INTO UserProfile VALUES (1, 'x');",
    identifiers: 'lower',
    expect: {
      names: { UserProfile: 'userprofile', 'UserProfile.displayName': 'displayname' },
      account: { UserProfile: { rows: 1 } },
      probes: [{ sql: 'SELECT displayname FROM UserProfile', rows: [['x']] }],
    },
  },
  {
    name: 'names that are the same when folded are refused before anything is written',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, "É" TEXT, "é" TEXT);',
    identifiers: 'lower',
    expect: { error: { code: 'TM_MOVE_NAME_COLLISION', says: /"É" and "é"/ } },
  },
  {
    name: 'tables that are the same when folded are refused before anything is written',
    make: 'CREATE TABLE "Ä" (x INTEGER); CREATE TABLE "ä" (x INTEGER);',
    identifiers: 'lower',
    expect: { error: { code: 'TM_MOVE_NAME_COLLISION', says: /"Ä" and "ä"/ } },
  },
  {
    name: 'names in other scripts, emoji among them',
    make: 'CREATE TABLE "таблица" ("столбец" INTEGER PRIMARY KEY, "名前" TEXT, "🙂" TEXT); INSERT INTO "таблица" VALUES (1, \'a\', \'b\');',
    expect: { account: { таблица: { rows: 1 } }, probes: [{ sql: 'SELECT "名前", "🙂" FROM "таблица"', rows: [['a', 'b']] }] },
  },
  {
    name: 'names beyond 63 bytes are cut to names of their own, and told',
    make: `CREATE TABLE ${long('one')} (${long('x')} INTEGER PRIMARY KEY, ${long('y')} TEXT); CREATE TABLE ${long('two')} (id INTEGER); CREATE INDEX ${long('index_one')} ON ${long('one')} (${long('y')}); CREATE INDEX ${long('index_two')} ON ${long('two')} (id);
      INSERT INTO ${long('one')} VALUES (1, 'a'); INSERT INTO ${long('two')} VALUES (2);`,
    expect: {
      hazards: [
        `renamed ${long('one')}`,
        `renamed ${long('one')}.${long('x')}`,
        `renamed ${long('one')}.${long('y')}`,
        `renamed ${long('two')}`,
      ],
      names: { [long('one')]: /^a_name_that.*_[0-9a-f]{8}$/, [`${long('one')}.${long('x')}`]: /_[0-9a-f]{8}$/ },
      account: { [long('one')]: { rows: 1 }, [long('two')]: { rows: 1 } },
      probes: [
        { sql: "SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema AND indexname LIKE 'a_name%'", rows: [['3']] },
      ],
    },
  },
  {
    name: 'a long name of many-byte characters is not cut in the middle of one',
    make: `CREATE TABLE "${'ä'.repeat(40)}" ("${'🙂'.repeat(20)}" TEXT); INSERT INTO "${'ä'.repeat(40)}" VALUES ('x');`,
    expect: {
      hazards: [`renamed ${'ä'.repeat(40)}`, `renamed ${'ä'.repeat(40)}.${'🙂'.repeat(20)}`],
      names: { ['ä'.repeat(40)]: /^ä+_[0-9a-f]{8}$/ },
      account: { ['ä'.repeat(40)]: { rows: 1 } },
    },
  },
  {
    name: "columns with the names of Postgres' own are renamed, and told",
    make: "CREATE TABLE t (ctid INTEGER PRIMARY KEY, xmin TEXT, xmax TEXT, cmin TEXT, cmax TEXT, tableoid TEXT, oid TEXT); CREATE INDEX by_xmin ON t (xmin); INSERT INTO t VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f');",
    expect: {
      names: { 't.ctid': /^ctid_/, 't.xmin': /^xmin_/, 't.oid': 'oid' },
      hazards: ['renamed t.ctid', 'renamed t.xmin', 'renamed t.xmax', 'renamed t.cmin', 'renamed t.cmax', 'renamed t.tableoid'],
      account: { t: { rows: 1 } },
    },
  },
  {
    name: "tables with the names of Postgres' catalogue",
    make: "CREATE TABLE pg_class (oid INTEGER PRIMARY KEY, relname TEXT); CREATE TABLE pg_type (x TEXT); CREATE TABLE columns (y TEXT); INSERT INTO pg_class VALUES (1, 'mine'); INSERT INTO pg_type VALUES ('a'); INSERT INTO columns VALUES ('b');",
    expect: { account: { pg_class: { rows: 1 }, pg_type: { rows: 1 }, columns: { rows: 1 } } },
  },
  {
    name: 'a column named as its table, and one named rowid that is none',
    make: "CREATE TABLE t (t TEXT, rowid TEXT); INSERT INTO t VALUES ('a', 'b'), ('c', 'b');",
    expect: {
      account: { t: { rows: 2 } },
      probes: [
        {
          sql: 'SELECT t.t, rowid FROM t ORDER BY 1',
          rows: [
            ['a', 'b'],
            ['c', 'b'],
          ],
        },
      ],
    },
  },
  {
    name: 'names given by choice',
    make: "CREATE TABLE tblUsers (usrNm TEXT PRIMARY KEY); INSERT INTO tblUsers VALUES ('a');",
    choices: { tables: { tblUsers: { rename: 'users', columns: { usrNm: { rename: 'name' } } } } },
    expect: {
      names: { tblUsers: 'users', 'tblUsers.usrNm': 'name' },
      account: { tblUsers: { rows: 1 } },
      probes: [{ sql: 'SELECT name FROM users', rows: [['a']] }],
    },
  },
  {
    name: 'a choice for a table that the file does not have',
    make: 'CREATE TABLE t (a TEXT);',
    choices: { tables: { T2: { rename: 'x' } } },
    expect: { error: { code: 'TM_MOVE_CHOICES_INVALID', says: /T2/ } },
  },
]
