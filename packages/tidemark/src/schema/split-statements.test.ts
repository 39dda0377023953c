import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalStatement, headOf, leadingWords, splitStatements } from './split-statements.js'

const texts = (sql: string) => splitStatements(sql).map((statement) => statement.text)

describe('splitStatements', () => {
  it.each([
    ['a semicolon in a string', "select ';'; select 2", ["select ';'", 'select 2']],
    ['a doubled quote', "select 'it''s; here'; select 2", ["select 'it''s; here'", 'select 2']],
    ['a backslash that escapes nothing', "select '\\'; select 2", ["select '\\'", 'select 2']],
    ['a backslash that escapes', "select E'\\';'; select 2", ["select E'\\';'", 'select 2']],
    ['a quoted name', 'create table "a;b" (); select 2', ['create table "a;b" ()', 'select 2']],
    ['dollar quotes', 'do $$ begin; end $$; select 2', ['do $$ begin; end $$', 'select 2']],
    ['tagged dollar quotes in one another', 'do $a$ $b$;$b$ ; $$;$$ $a$; select 2', ['do $a$ $b$;$b$ ; $$;$$ $a$', 'select 2']],
    ['a dollar inside a name', 'select a$1; select b$1', ['select a$1', 'select b$1']],
    ['a parameter, which is no dollar quote', 'select $1; select $2', ['select $1', 'select $2']],
    ['a line comment', 'select 1 -- no; no\n; select 2', ['select 1 -- no; no', 'select 2']],
    ['nested block comments', 'select 1 /* a; /* b; */ c; */; select 2', ['select 1 /* a; /* b; */ c; */', 'select 2']],
    ['a quote inside a comment', "-- it's\nselect 1; select 2", ["-- it's\nselect 1", 'select 2']],
    [
      'a rule with several actions',
      'create rule r as on insert to t do also (insert into a values (1); insert into b values (2)); select 2',
      ['create rule r as on insert to t do also (insert into a values (1); insert into b values (2))', 'select 2'],
    ],
    [
      'a BEGIN ATOMIC body with a CASE in it',
      'create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3',
      ['create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end', 'select 3'],
    ],
    ['BEGIN that opens a transaction', 'begin; select 1; end; select 2', ['begin', 'select 1', 'end', 'select 2']],
    [
      'words like begin, atomic and end outside of routines',
      'select begin, atomic; select "end"',
      ['select begin, atomic', 'select "end"'],
    ],
    ['only comments and semicolons', '-- nothing\n;;; /* here */', []],
    ['text that is not closed', "select 'open; select 2", ["select 'open; select 2"]],
    ['a comment that is not closed', 'select 1; /* open; select 2', ['select 1']],
    ['a dollar quote that is not closed', 'do $x$ a; $$', ['do $x$ a; $$']],
    ['Unicode names and tags', 'select ärger; do $größe$;$größe$', ['select ärger', 'do $größe$;$größe$']],
  ])('knows %s', (_what, sql, expected) => {
    expect(texts(sql)).toEqual(expected)
  })

  it('names the line of the first word and of the comment above it', () => {
    expect(splitStatements('\n\nselect 1;\n-- about two\n\nselect 2')).toMatchObject([
      { line: 3, textLine: 3 },
      { line: 6, textLine: 4 },
    ])
  })

  it('gives back the statements it was given, whatever they are made of', () => {
    const piece = fc.constantFrom(
      'x',
      "'a;b'",
      "''''",
      '"q;"',
      '$$;$$',
      '$t$ $$ ; $t$',
      '/* ; */',
      '-- ;\n',
      '(;)',
      "E'\\';'",
      '\n',
      '1.5',
      '$1',
    )
    const statement = fc.array(piece, { maxLength: 8 }).map((pieces) => `select ${pieces.join(' ')}`)
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 6 }), (statements) => {
        expect(texts(statements.join('\n;')).map(canonicalStatement)).toEqual(statements.map(canonicalStatement))
      }),
    )
  })
})

describe('canonicalStatement', () => {
  it('ignores comments and the width of blanks, never what stands in quotes', () => {
    expect(canonicalStatement('select  1 -- one\n  , /* x */ 2')).toBe('select 1 , 2')
    expect(canonicalStatement("select 'a  --b'")).toBe("select 'a  --b'")
  })
})

describe('headOf and leadingWords', () => {
  it('read what comes first', () => {
    expect(headOf('-- a\n/* b */ select 1')).toBe('-- a\n/* b */ ')
    expect(headOf('-- only\n')).toBe('-- only\n')
    expect(leadingWords('/* x */ Start TRANSACTION;', 2)).toEqual(['start', 'transaction'])
    expect(leadingWords("'text'", 2)).toEqual([])
  })
})
