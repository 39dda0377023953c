/** An application in a process of its own that writes to one store as fast as it is told, and remembers what was accepted. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { until } from '../../../time/until.js'

/** Plain JavaScript, so that the process needs nothing of ours: an application is any program. */
const sqliteScript = `
  const app = new (require(process.env.SQLITE))(where, { timeout: 5000 })
  app.pragma('foreign_keys = ON')
  const post = app.prepare("INSERT INTO posts VALUES (?, ?, 'written', 'live')")
  const note = app.prepare('INSERT INTO notes VALUES (?, ?)')
  const touch = app.prepare('UPDATE authors SET email = ? WHERE id = ?')
  const work = app.transaction((i) => { post.run(i, 1 + (i % 20)); if (i % 3 === 0) note.run('n' + i, i); if (i % 5 === 0) touch.run('e' + i + '@example.org', 1 + (i % 20)) })
  run((i) => work(i))`

const postgresScript = `
  const client = new (require(process.env.PG).Client)({ connectionString: where, application_name: 'the application' })
  client.on('error', () => {})
  client.connect().then(() => run(async (i) => {
    const touched = i % 5 === 0 ? 'WITH touched AS (UPDATE ' + schema + ".authors SET email = 'p' || $1::bigint || '@example.org' WHERE id = $2::bigint) " : ''
    await client.query({ name: touched && 'touching', text: touched + 'INSERT INTO ' + schema + ".posts VALUES ($1::bigint, $2::bigint, 'written', 'live')", values: [i, 1 + (i % 20)] })
  }))`

/** Paces itself: what was missed is caught up with, so that a pause does not lower the rate. */
const loop = `
  const [where, rate, first, schema] = process.argv.slice(1)
  let i = Number(first) - 1, accepted = 0, refused = 0, since = 0, longest = 0, isEnding = false
  const said = new Set(), ids = []
  const begun = performance.now()
  async function run(write) {
    while (!isEnding) {
      const due = ((performance.now() - begun) / 1000) * Number(rate)
      for (let n = accepted; n < due && !isEnding; n = accepted) {
        try {
          i++
          await write(i)
          ids.push(i); accepted++
          if (since > 0) { longest = Math.max(longest, performance.now() - since); since = 0 }
        } catch (error) {
          refused++; said.add(String(error.code) + ' ' + error.message)
          if (since === 0) since = performance.now()
          if (isEnding) break
          await new Promise((r) => setTimeout(r, 2))
        }
        if (n % 50 === 0) await new Promise((r) => setImmediate(r))
      }
      await new Promise((r) => setTimeout(r, 1))
    }
    process.send({ accepted, refused, longestMs: longest, refusedSinceMs: since === 0 ? 0 : performance.now() - since, said: [...said], ids })
    process.disconnect()
  }
  setInterval(() => process.connected && process.send({ progress: accepted }), 20).unref()
  process.on('message', () => { isEnding = true })
  process.on('disconnect', () => process.exit())
`

export interface Written {
  readonly accepted: number
  readonly refused: number
  /** The longest time between a write that was refused and the next that was accepted. */
  readonly longestMs: number
  /** How long writes had been refused when it ended; 0 where the last was accepted. */
  readonly refusedSinceMs: number
  readonly said: readonly string[]
  readonly ids: readonly number[]
}

export interface Writer {
  readonly child: ChildProcess
  readonly accepted: number
  stop(): Promise<Written>
}

const start = (script: string, args: readonly string[]): Writer => {
  const { resolve } = createRequire(import.meta.url)
  const env = { PATH: process.env['PATH'], SQLITE: resolve('better-sqlite3'), PG: resolve('pg') }
  const child = spawn(process.execPath, ['-e', `${loop}${script}`, ...args], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let accepted = 0
  let written: Written | undefined
  child.on('message', (message: { progress: number } | Written) => {
    if ('progress' in message) accepted = message.progress
    else written = message
  })
  return {
    child,
    get accepted() {
      return accepted
    },
    stop: async () => {
      if (child.connected) child.send('end')
      const closed = once(child, 'close')
      await until(() => written, { what: "The end of the application's writes" })
      await closed
      return written!
    },
  }
}

/** Writes to the file of {@link makeLiveFile}, with ids from `first` on. */
export const sqliteWriter = (path: string, perSecond: number, first: number): Writer =>
  start(sqliteScript, [path, String(perSecond), String(first)])

/** Writes to what the file became in Postgres. */
export const postgresWriter = (url: string, schema: string, perSecond: number, first: number): Writer =>
  start(postgresScript, [url, String(perSecond), String(first), schema])
