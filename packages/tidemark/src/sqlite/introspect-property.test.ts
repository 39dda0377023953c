import Sqlite from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { introspect } from './introspect.js'
import { foldAscii, quoteSqliteName, tokenize } from './tokenize.js'

/** A schema as it is meant, next to a text that says it in one of SQLite's many ways. */
interface MeantColumn {
  readonly name: string
  readonly type: string
  readonly notNull: boolean
  readonly defaultSql: string | null
  readonly collation: string
  readonly check: string | null
  readonly checkName: string | null
}
interface MeantTable {
  readonly name: string
  readonly columns: readonly MeantColumn[]
  readonly key: readonly number[]
  readonly unique: readonly number[]
  readonly withoutRowid: boolean
  readonly parent: { readonly column: number; readonly deferred: boolean; readonly onDelete: string } | null
}

const plainName = /^[a-z_][a-z0-9_]*$/i
const reserved = new Set(
  'add all alter and as autoincrement between case check collate commit constraint create default deferrable delete distinct drop else escape exists foreign from group having in index insert into is isnull join limit not nothing notnull null on or order primary references returning select set table then to transaction union unique update using values when where'.split(
    ' ',
  ),
)

const nameOf = fc.oneof(
  fc.constantFrom(
    'id',
    'a b',
    'select',
    'Order',
    "it's",
    'say "hi"',
    '[x',
    'tick`s',
    'naïve',
    '数据',
    '😀',
    'a--b',
    '/*c*/',
    'x,y',
    '(p)',
    'CHECK',
    'rowid',
  ),
  fc
    .string({ minLength: 1, maxLength: 8, unit: 'grapheme' })
    .filter((name) => !name.includes('\0') && !foldAscii(name).startsWith('sqlite_')),
)

const quotingOf = fc.constantFrom('"', '[', '`', 'bare', "'")
const quoted = (name: string, style: string): string => {
  if (style === 'bare' && plainName.test(name) && !reserved.has(foldAscii(name))) return name
  if (style === '[' && !name.includes(']')) return `[${name}]`
  if (style === '`') return `\`${name.replaceAll('`', '``')}\``
  if (style === "'") return `'${name.replaceAll("'", "''")}'`
  return quoteSqliteName(name)
}

const blank = fc.constantFrom(' ', '\n', '\t ', ' /* , ) */ ', ' -- it\'s "odd" (\n')

const columnOf: fc.Arbitrary<MeantColumn> = fc.record({
  name: nameOf,
  type: fc.constantFrom(
    '',
    'INTEGER',
    'int',
    'TEXT',
    'varchar(10)',
    'DECIMAL(10,2)',
    'REAL',
    'BLOB',
    'unsigned big int',
    'DATETIME',
  ),
  notNull: fc.boolean(),
  defaultSql: fc.constantFrom(null, '5', '-1', `'a,b)'`, `datetime('now')`, 'NULL', "x'00'", 'CURRENT_TIMESTAMP', `1 + (2)`),
  collation: fc.constantFrom('BINARY', 'BINARY', 'NOCASE', 'RTRIM'),
  check: fc.constantFrom(null, null, '1 > 0', `'a)' <> ','`, "length('x') IN (1, 2) /* ) */ OR 1"),
  checkName: fc.option(nameOf, { nil: null }),
})

const tableOf: fc.Arbitrary<MeantTable> = fc
  .record({
    name: nameOf,
    columns: fc.uniqueArray(columnOf, { minLength: 1, maxLength: 6, selector: (column) => foldAscii(column.name) }),
    keySize: fc.nat(2),
    uniqueSize: fc.nat(3),
    withoutRowid: fc.boolean(),
    parent: fc.option(
      fc.record({ column: fc.nat(5), deferred: fc.boolean(), onDelete: fc.constantFrom('NO ACTION', 'CASCADE', 'SET NULL') }),
      { nil: null },
    ),
    order: fc.infiniteStream(fc.nat()),
  })
  .map(({ name, columns, keySize, uniqueSize, withoutRowid, parent, order }) => {
    const shuffled = columns
      .map((_, i) => ({ i, at: order.next().value }))
      .sort((a, b) => a.at - b.at)
      .map(({ i }) => i)
    const key = shuffled.slice(0, keySize)
    return {
      name,
      columns,
      key,
      unique: shuffled.slice(shuffled.length - Math.min(uniqueSize, shuffled.length)),
      withoutRowid: withoutRowid && key.length > 0,
      parent: parent && { ...parent, column: parent.column % columns.length },
    }
  })

/** Writes a table in a random spelling: quotes, blanks, comments, order of a column's constraints. */
const written = (table: MeantTable, random: { quoting: () => string; blank: () => string; flip: () => boolean }): string => {
  const q = (name: string) => quoted(name, random.quoting())
  const b = random.blank
  const needsParentheses = (sql: string) => /^[a-z]+\(|\+/.test(sql)
  const column = (c: MeantColumn): string => {
    const parts: string[] = []
    if (c.notNull) parts.push(`NOT${b()}NULL`)
    if (c.defaultSql !== null) {
      parts.push(
        `DEFAULT${b()}${needsParentheses(c.defaultSql) || random.flip() ? `(${b()}${c.defaultSql}${b()})` : c.defaultSql}`,
      )
    }
    if (c.collation !== 'BINARY') parts.push(`COLLATE${b()}${random.flip() ? c.collation.toLowerCase() : `"${c.collation}"`}`)
    if (c.check !== null) {
      parts.push(`${c.checkName === null ? '' : `CONSTRAINT${b()}${q(c.checkName)}${b()}`}check${b()}(${b()}${c.check}${b()})`)
    }
    if (random.flip()) parts.reverse()
    return [q(c.name), c.type, ...parts].join(b())
  }
  const names = (list: readonly number[]) => list.map((i) => q(table.columns[i]?.name ?? '')).join(`${b()},${b()}`)
  const constraints = [
    ...(table.key.length > 0 ? [`PRIMARY${b()}KEY${b()}(${names(table.key)})`] : []),
    ...(table.unique.length > 0 ? [`CONSTRAINT u UNIQUE${b()}(${names(table.unique)})`] : []),
    ...(table.parent
      ? [
          `FOREIGN KEY (${names([table.parent.column])}) REFERENCES${b()}${q('the parent')} (${q('K')}) ON DELETE ${table.parent.onDelete}${table.parent.deferred ? ` DEFERRABLE${b()}INITIALLY DEFERRED` : ''}`,
        ]
      : []),
  ]
  const body = [...table.columns.map(column), ...constraints].join(`${b()},${b()}`)
  return `CREATE${b()}TABLE${b()}${q(table.name)}${b()}(${body})${table.withoutRowid ? `${b()}WITHOUT ROWID` : ''}`
}

describe('introspect, over random schemas in random spellings', () => {
  it('tells what was meant', () => {
    fc.assert(
      fc.property(
        tableOf,
        fc.infiniteStream(quotingOf),
        fc.infiniteStream(blank),
        fc.infiniteStream(fc.boolean()),
        (table, quotings, blanks, flips) => {
          fc.pre(foldAscii(table.name) !== 'the parent' && table.name.trim() !== '')
          const sql = written(table, {
            quoting: () => quotings.next().value,
            blank: () => blanks.next().value,
            flip: () => flips.next().value,
          })
          const db = new Sqlite(':memory:')
          db.exec('CREATE TABLE "the parent"(k TEXT PRIMARY KEY)')
          db.exec(sql)
          const { tables, unreadable } = introspect(db)
          db.close()
          expect(unreadable).toEqual([])
          const found = tables[1]
          const at = (list: readonly number[]) => list.map((i) => table.columns[i]?.name)
          expect(found).toMatchObject({ name: table.name, withoutRowid: table.withoutRowid })
          expect(
            found?.columns.map(({ name, declaredType, collation, notNull }) => ({ name, declaredType, collation, notNull })),
          ).toEqual(
            table.columns.map(({ name, type, collation, notNull }, i) => ({
              name,
              declaredType: type,
              collation,
              notNull: notNull || (table.withoutRowid && table.key.includes(i)),
            })),
          )
          expect(found?.columns.map((column) => column.defaultSql)).toEqual(table.columns.map((column) => column.defaultSql))
          // An unnamed or named check stands in the order of its column.
          expect(found?.checks).toEqual(
            table.columns.flatMap(({ check, checkName }) => (check === null ? [] : [{ name: checkName, expression: check }])),
          )
          expect(found?.primaryKey?.columns ?? []).toEqual(at(table.key))
          const unique = found?.indexes.find((index) => index.origin === 'u')
          // A unique constraint equal to the primary key shares its index.
          if (unique) expect(unique.parts.map((part) => part.column)).toEqual(at(table.unique))
          expect(found?.foreignKeys).toEqual(
            table.parent
              ? [
                  {
                    name: null,
                    columns: at([table.parent.column]),
                    parentTable: 'the parent',
                    parentColumns: ['k'],
                    onUpdate: 'NO ACTION',
                    onDelete: table.parent.onDelete,
                    initiallyDeferred: table.parent.deferred,
                  },
                ]
              : [],
          )
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('tokenize', () => {
  it('cuts any text without loss: tokens are in order and between them stand only blanks and comments', () => {
    const piece = fc.constantFrom(
      'a',
      "'x''y'",
      '"q""q"',
      '[b]',
      '`c`',
      '1.5e3',
      '0xff',
      '->>',
      '||',
      '/* c */',
      '-- d\n',
      ' ',
      "x'00'",
      '(',
      '😀',
      '1_000',
      "'open",
      '$',
      '?1',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const sql = pieces.join('')
        let end = 0
        for (const token of tokenize(sql)) {
          expect(sql.slice(token.start, token.end)).toBe(token.text)
          expect(
            sql
              .slice(end, token.start)
              .replace(/\/\*(?:.|\n)*?(?:\*\/|$)|--[^\n]*(?:\n|$)/g, '')
              .trim(),
          ).toBe('')
          end = token.end
        }
      }),
    )
  })

  it('cuts as SQLite does', () => {
    const cut = (sql: string) => tokenize(sql).map((token) => `${token.kind} ${token.value}`)
    expect(cut(`a'b''c'"d""e"[f"g]\`h\``)).toEqual(['word a', "string b'c", 'quoted d"e', 'quoted f"g', 'quoted h'])
    expect(cut(`1 .5 1e-3 1.e5 0xFF 1_000 x'0aF0' X''`)).toEqual([
      'number 1',
      'number .5',
      'number 1e-3',
      'number 1.e5',
      'number 0xFF',
      'number 1_000',
      "blob x'0aF0'",
      "blob X''",
    ])
    expect(cut('a->>b->c||d<<1>>2<=3>=4<>5!=6==7')).toHaveLength(21)
    expect(cut('a -- note\nb /* no\nte */ c /* open')).toEqual(['word a', 'word b', 'word c'])
    expect(cut(`x'0' 'open`)).toEqual(["illegal x'0'", expect.stringContaining('illegal')])
    expect(cut('[a]]')).toEqual(['quoted a', 'illegal ]'])
    expect(cut('12ab')).toEqual(['illegal 12ab'])
    expect(cut(':a @b $c ?1')).toEqual(['parameter :a', 'parameter @b', 'parameter $c', 'parameter ?1'])
    expect(cut('a\0b')).toEqual(['word a'])
  })
})
