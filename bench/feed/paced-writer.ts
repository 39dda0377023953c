/** A process of its own that commits small transactions at an even pace, each row carrying the moment its commit was asked for. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

export interface Pace {
  /** Row changes a second. */
  readonly rate: number
  readonly seconds: number
}

export interface PacedWriter {
  readonly ended: Promise<unknown>
  stop(): void
}

const rowsPerCommit = 10
const last = '-1'

/** Starts it. The row that ends the run has -1 where the others have their moment (ms since 1970, with a fraction). */
export const startWriter = (url: string, { rate, seconds }: Pace): PacedWriter => {
  const child: ChildProcess = spawn(process.execPath, ['node_modules/.bin/jiti', fileURLToPath(import.meta.url)], {
    env: { ...process.env, PACED_URL: url, PACED_RATE: String(rate), PACED_SECONDS: String(seconds) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return { ended: once(child, 'close'), stop: () => child.kill() }
}

const write = async (url: string, rate: number, seconds: number): Promise<void> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const sql = `INSERT INTO changes SELECT $1::bigint + n, 'paced', n, $2 FROM generate_series(1, ${rowsPerCommit}) AS n`
  const everyMs = (1000 * rowsPerCommit) / rate
  const begun = performance.now()
  for (let commit = 0; performance.now() - begun < seconds * 1000; commit++) {
    const dueMs = begun + commit * everyMs - performance.now()
    if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs))
    await client.query(sql, [1e12 + commit * rowsPerCommit, String(performance.timeOrigin + performance.now())])
  }
  await client.query(sql, [2e12, last])
  await client.end()
}

const { PACED_URL: url, PACED_RATE: rate, PACED_SECONDS: seconds } = process.env
if (url !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) await write(url, Number(rate), Number(seconds))
