// Writes into a file until it is told to stop: a program of its own, with a SQLite of its own.
import { parentPort, workerData } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'

const { path, seed, pauseEvery, pauseMs } = workerData
const db = new Sqlite(path, { timeout: 10_000 })
let state = seed
const random = (n) => {
  state = (state * 1_103_515_245 + 12_345) % 2 ** 31
  return Math.floor((state / 2 ** 31) * n)
}

const work = [
  ['UPDATE by_id SET n = n + 1, v = ? WHERE id = ?', () => [`v${random(1e6)}`, 1 + random(3000)]],
  ['INSERT INTO by_id (n, v) VALUES (?, ?)', () => [random(100), 'added']],
  ['DELETE FROM by_id WHERE id = ?', () => [1 + random(4000)]],
  ['INSERT OR REPLACE INTO by_id (id, n, v) VALUES (?, ?, ?)', () => [1 + random(4000), 1, 'replaced']],
  ['UPDATE OR IGNORE by_id SET id = ? WHERE id = ?', () => [1 + random(5000), 1 + random(5000)]],
  ['UPDATE by_pair SET v = ? WHERE a = ? AND b = ?', () => [`p${random(1e6)}`, random(10), random(300)]],
  ['UPDATE OR REPLACE by_pair SET b = ? WHERE a = ? AND b = ?', () => [random(300), random(10), random(300)]],
  ['UPDATE by_text SET n = ? WHERE k = ?', () => [random(1e6), `key ${random(3000)}`]],
  ['INSERT INTO by_text VALUES (?, 1) ON CONFLICT (k) DO UPDATE SET n = n + 1', () => [`key ${random(4000)}`]],
  ['DELETE FROM by_text WHERE k = ?', () => [`key ${random(4000)}`]],
  ['UPDATE keyless SET v = ? WHERE rowid = ?', () => [`k${random(1e6)}`, 1 + random(3000)]],
  ['DELETE FROM keyless WHERE rowid = ?', () => [1 + random(3000)]],
  ['INSERT INTO keyless VALUES (?, ?)', () => [random(50), 'added']],
].map(([sql, values]) => ({ statement: db.prepare(sql), values }))

let running = true
let writes = 0
parentPort.on('message', () => {
  running = false
})

const transaction = db.transaction(() => {
  for (let i = 1 + random(10); i > 0; i--) {
    const { statement, values } = work[random(work.length)]
    statement.run(...values())
    writes++
  }
})

const turn = () => {
  for (let i = 0; i < pauseEvery && running; i++) transaction.immediate()
  if (running) {
    setTimeout(turn, pauseMs)
    return
  }
  db.close()
  parentPort.postMessage(writes)
  parentPort.close()
}
turn()
