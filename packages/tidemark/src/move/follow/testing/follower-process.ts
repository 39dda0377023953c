/** Following in a process of its own, which can be killed; and an application that writes in another. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { until } from '../../../time/until.js'

const built = (path: string): string => new URL(`../../../../dist/${path}`, import.meta.url).href

const start = (script: string): ChildProcess =>
  spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: process.cwd(), stdio: ['ignore', 'pipe', 'inherit'] })

export interface FollowerProcessOptions {
  readonly url: string
  readonly runId: string
  readonly maxBatchBytes: number
}

/** Takes the move over and follows until it is killed; says so after each tick that brought something over. */
export const startFollower = ({ url, runId, maxBatchBytes }: FollowerProcessOptions): ChildProcess =>
  start(`
    import pg from 'pg'
    const { openFollow } = await import('${built('move/follow/open-follow.js')}')
    const { takeOver } = await import('${built('move/live/record.js')}')
    const target = { url: ${JSON.stringify(url)} }
    const client = new pg.Client({ connectionString: target.url })
    await client.connect()
    const held = await takeOver(client, '${runId}')
    await client.end()
    const follow = await openFollow({ held, target, maxBatchBytes: ${maxBatchBytes}, maxReadMs: 5 })
    for (;;) {
      const { applied } = await follow.tick()
      if (applied > 0) process.stdout.write('.')
      else await new Promise((resolve) => setTimeout(resolve, 1))
    }`)

/** Runs `body` with `db` and `random(n)` in a transaction, again and again, until it is told to end (SIGTERM); tells how often. */
export const startWriter = (path: string, seed: number, body: string): ChildProcess =>
  start(`
    import Database from 'better-sqlite3'
    const db = new Database(${JSON.stringify(path)}, { timeout: 20000 })
    let [state, done, isOpen] = [${seed}, 0, true]
    const random = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return Math.floor((state / 2147483648) * n) }
    process.on('SIGTERM', () => { isOpen = false })
    process.stdout.write('ready\\n')
    const work = db.transaction(() => { ${body} })
    const turn = () => {
      if (!isOpen) { db.close(); return process.stdout.write(JSON.stringify({ done }) + '\\n') }
      work(); done++
      setTimeout(turn, 2)
    }
    turn()`)

/** Waits until the follower has made so many ticks. */
export const untilTicked = async (child: ChildProcess, ticks: number): Promise<void> => {
  let seen = 0
  child.stdout!.on('data', (text: Buffer) => {
    seen += text.length
  })
  await until(() => seen >= ticks, { timeoutMs: 20_000, intervalMs: 1, what: 'A tick of the follower' })
}

export const untilReady = async (child: ChildProcess): Promise<void> => {
  await once(child.stdout!, 'data')
}

/** Ends the writer; how many transactions it made. */
export const endWriter = async (child: ChildProcess): Promise<number> => {
  let text = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  child.kill('SIGTERM')
  await once(child, 'close')
  return (JSON.parse(text.trim().split('\n').at(-1)!) as { done: number }).done
}

export const kill = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
