/** A program holds a lock of the file for seconds: for writing, for everything, or by a read that does not end. */
import { setTimeout as pause } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { between, oneOf } from '../random.ts'
import { everywhere, type Fault } from './fault.ts'

const locks = [
  ['BEGIN IMMEDIATE', 'for writing'],
  ['BEGIN EXCLUSIVE', 'for everything'],
  ['BEGIN; SELECT count(*) FROM ledger', 'for reading'],
] as const

export const appLocks: Fault = {
  phases: everywhere,
  strike: async ({ project, dice }) => {
    const [sql, word] = oneOf(dice, locks)
    const db = new Sqlite(project.path, { timeout: 0 })
    try {
      for (let tries = 0; tries < 100; tries++) {
        try {
          db.exec(sql)
          await pause(between(dice, 500, 3000))
          db.exec('ROLLBACK')
          return word
        } catch {
          if (db.inTransaction) db.exec('ROLLBACK')
          await pause(10)
        }
      }
      return undefined
    } finally {
      db.close()
    }
  },
}
