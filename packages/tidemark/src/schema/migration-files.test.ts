import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checksumOf, directoryOf, parseMigration, platformSource, readSource } from './migration-files.js'
import { scramMatches, scramVerifier } from './scram.js'
import { postgresErrorOf, quoteIdentifier, quoteLiteral } from './sql-errors.js'

const parse = (text: string) => parseMigration(platformSource, '20260101000000_a.sql', text)

describe('parseMigration', () => {
  it('knows the mark only above the first statement', () => {
    expect(parse('-- tidemark: no-transaction\nselect 1').transactional).toBe(false)
    expect(parse('/* x */\n\n--  Tidemark:  no-transaction  \nselect 1').transactional).toBe(false)
    expect(parse('select 1;\n-- tidemark: no-transaction').transactional).toBe(true)
    expect(parse("do '\n-- tidemark: no-transaction\n'").transactional).toBe(true)
  })

  it('is not disturbed by a byte order mark or by Windows line ends', () => {
    expect(parse('\uFEFFselect 1;\r\nselect 2;\r\n').statements.map(({ text }) => text)).toEqual(['select 1', 'select 2'])
    expect(parse('select 1;\r\n').checksum).toBe(parse('select 1').checksum)
  })
})

describe('checksumOf', () => {
  it('is the same for a file and for the statements that another tool took it apart into', () => {
    const whole = parse('-- about a\ncreate table a (id int);\n\ninsert into a values (1); -- done\n').checksum
    expect(checksumOf(['create table a (id int)', 'insert into a values (1)'])).toBe(whole)
    expect(checksumOf(['-- about a\ncreate table a (id int);', 'insert into a values (1);', '-- done'])).toBe(whole)
    expect(checksumOf(['create table a (id int)', 'insert into a values (2)'])).not.toBe(whole)
  })
})

describe("the platform's own migrations", () => {
  it('are found beside the package, and each reads as its statements', async () => {
    const migrations = await readSource(platformSource)
    expect(migrations.map(({ file }) => file)).toContain('20260101000000_move.sql')
    for (const { file, version, statements, transactional } of migrations) {
      expect(version, file).toHaveLength(14)
      expect(statements.length, file).toBeGreaterThan(0)
      expect(transactional, file).toBe(true)
    }
  })

  it('C77: fix the search_path of whatever is SECURITY DEFINER', async () => {
    for (const { file } of await readSource(platformSource)) {
      const text = await readFile(join(directoryOf(platformSource), file), 'utf8')
      for (const [body] of text.matchAll(/create (?:or replace )?function[\s\S]*?\$\$;/gi)) {
        if (/security definer/i.test(body)) expect(body, file).toMatch(/set search_path/i)
      }
    }
  })
})

describe('scramVerifier', () => {
  it('matches its password and no other', () => {
    const verifier = scramVerifier('pencil')
    expect(scramMatches(verifier, 'pencil')).toBe(true)
    expect(scramMatches(verifier, 'Pencil')).toBe(false)
    expect(scramMatches(null, 'pencil')).toBe(false)
    expect(scramMatches('md5abc', 'pencil')).toBe(false)
  })

  it('is what RFC 7677 computes for its example', () => {
    const verifier = scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))
    expect(verifier).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    )
  })
})

describe('quoting', () => {
  it('keeps quotes and backslashes what they are', () => {
    expect(quoteIdentifier('a"b')).toBe('"a""b"')
    expect(quoteLiteral("it's")).toBe("'it''s'")
    expect(quoteLiteral('a\\b')).toBe(" E'a\\\\b'")
  })
})

describe('postgresErrorOf', () => {
  it('finds what the server raised, also as the cause of another error', () => {
    const raised = Object.assign(new Error('boom'), { code: '42P01', severity: 'ERROR' })
    expect(postgresErrorOf(new Error('outer', { cause: raised }))).toBe(raised)
    expect(postgresErrorOf(Object.assign(new Error('x'), { code: 'EPIPE' }))).toBeUndefined()
    expect(postgresErrorOf('text')).toBeUndefined()
  })
})
