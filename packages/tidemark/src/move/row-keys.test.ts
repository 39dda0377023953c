import BetterSqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { exactKeySql, packKey, RawText, readKey, unpackKey } from './row-keys.js'

describe('the values of a key', () => {
  it('keep their storage class when packed: the real 1.0 is not the integer 1', () => {
    const key = [1n, 1, 2n ** 60n, 2 ** 60, 0.5, Number.POSITIVE_INFINITY, null, Buffer.from('b')]
    expect(unpackKey(packKey(key))).toEqual(key)
    expect(packKey([1])).not.toEqual(packKey([1n]))
    expect(unpackKey(packKey(['t']))).toEqual([new RawText(Buffer.from('t'))])
  })

  it('keep it in RETURNING, which hands whole numbers of a REAL column over as integers', () => {
    const db = new BetterSqlite(':memory:')
    db.exec('CREATE TABLE t (k REAL, n INTEGER, s TEXT)')
    const insert = db.prepare(`INSERT INTO t VALUES (1, 2, 'x') RETURNING ${exactKeySql(['k', 'n', 's'])}`)
    expect(readKey(insert.safeIntegers(true).raw(true).get() as unknown[])).toEqual([1, 2n, new RawText(Buffer.from('x'))])
    db.close()
  })
})
