import type { Database } from 'better-sqlite3'
import { expect, it } from 'vitest'
import { cutover } from '../cutover/cutover.js'
import { useLiveMoves } from '../live/testing/live-moves.js'

const moves = useLiveMoves()

const addObjects = (app: Database): void => {
  app.function('half', { deterministic: true }, (x) => Number(x) / 2)
  app.exec(`CREATE TABLE checked (id INTEGER PRIMARY KEY, x CHECK (half(x) < 9));
    CREATE TABLE sorted (x); CREATE INDEX by_half ON sorted (half(x));
    CREATE TRIGGER halves AFTER INSERT ON notes BEGIN UPDATE notes SET at = half(at) WHERE rowid = new.rowid; END`)
}

it('MOVE-5: a cutover is refused where the mirror could not write, and not for what only a trigger needs', async () => {
  const move = await moves.makeReady({ prepare: addObjects })
  await expect(cutover(move.options)).rejects.toMatchObject({
    code: 'TM_MOVE_GATE',
    message: expect.stringMatching(/mirrored into the file: checked \(.*half.*\), sorted \(.*half.*\)\.$/) as string,
  })
  move.app.exec("INSERT INTO notes VALUES ('goes on', 4)")
  expect(move.app.prepare("SELECT at FROM notes WHERE text = 'goes on'").pluck().get()).toBe(2)
  expect(await move.status()).toMatchObject({ state: 'following', file: { fence: 'open' } })
})
