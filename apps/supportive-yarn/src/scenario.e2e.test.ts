import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { useApps } from '../../../packages/tidemark/src/testing/app/use-apps.js'
import { useProject } from '../../../packages/tidemark/src/testing/project/use-project.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { supportiveYarn } from './supportive-yarn.js'

const file = 'chat_history.db'
const map = fileURLToPath(supportiveYarn.moveMap)
const migrations = fileURLToPath(supportiveYarn.migrations)
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

interface Reply {
  readonly reply: string
  readonly session_id: string
  readonly state: string | null
  readonly error?: string
}

describe('S3: a yarn goes on through the move to Postgres and back', () => {
  const project = useProject()
  const startApp = useApps()
  let url: string
  let session: string

  const post = async (body: string, type = 'application/json'): Promise<{ status: number; body: Reply }> => {
    const response = await fetch(`${url}/chat`, { method: 'POST', headers: { 'content-type': type }, body })
    return { status: response.status, body: (await response.json()) as Reply }
  }

  const say = async (message: string, id = session): Promise<Reply> => {
    const { status, body } = await post(JSON.stringify({ message, ...(id && { session_id: id }) }))
    expect(status).toBe(200)
    return body
  }

  const inFile = (sql: string): unknown[] => {
    const db = new Sqlite(join(project.dir, file), { readonly: true })
    try {
      return db.prepare(sql).pluck().all()
    } finally {
      db.close()
    }
  }

  beforeAll(async () => {
    await project.serve()
    await project.run('schema', 'up', '--migrations', migrations)
    const { url: databaseUrl } = await project.run<{ url: string }>('db', 'url', '--role', 'app')
    const env = { SQLITE_PATH: join(project.dir, file), DATABASE_URL: databaseUrl, CHAT_PER_MINUTE: '100000' }
    url = (await startApp(main, { cwd: project.dir, env })).url
  })

  it('steps 1 to 3: on SQLite the yarn goes through its steps, and answers a risk without moving', async () => {
    const first = await say('hey there', '')
    session = first.session_id
    expect(first.state).toBe('support_people')
    expect((await say('my nan and my cousin')).state).toBe('strengths')
    expect((await say('footy and drawing')).state).toBe('worries')
    const risky = await say('i cant go on, wanna die')
    for (const number of ['13YARN 13 92 76', 'Lifeline 13 11 14', 'Kids Helpline 1800 55 1800', 'Emergency 000'])
      expect(risky.reply).toContain(number)
    expect(risky.state).toBe('worries')
    expect((await say('it rains')).reply).toContain('Would you like to continue')
    expect((await say('yes')).state).toBe('worries')
    expect(inFile('SELECT count(*) FROM risk_detections')).toEqual([1])
    expect(inFile("SELECT count(*) FROM analytics WHERE event_type = 'risk_triggered'")).toEqual([1])
  })

  it('step 5: bad input is told so', async () => {
    expect((await post(JSON.stringify({ message: '' }))).status).toBe(400)
    expect((await post(JSON.stringify({ message: 'x'.repeat(1001) }))).status).toBe(400)
    expect((await post('hello', 'text/plain')).status).toBe(415)
    expect((await post('{', 'application/json')).status).toBe(400)
  })

  it('step 6 (R83): the same yarn goes on, on Postgres, without a restart', async () => {
    await project.run('move', file, '--into', 'existing', '--map', map, '--until-ready')
    expect((await say('idk')).state).toBe('worries')
    const { ok } = await project.run<{ ok: boolean }>('move', 'cutover', file, '--no-mirror', '--max-pause', '20s')
    expect(ok).toBe(true)
    const before = inFile('SELECT count(*) FROM chat_history')
    expect((await say('dunno')).state).toBe('goals')
    expect(inFile('SELECT count(*) FROM chat_history')).toEqual(before)
    const { moves } = await project.run<{ moves: { state: string; writer: string }[] }>('move', 'status', file)
    expect(moves[0]).toMatchObject({ state: 'mirroring', writer: 'postgres' })
  })

  it('step 7 (R72, R111, C52): with the database gone a risk is answered at once and anything else kindly, and it comes back', async () => {
    await project.end()
    await until(async () => (await fetch(`${url}/health`)).status === 503, { timeoutMs: 20_000, what: 'the loss' })
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'error', database: 'disconnected' })
    const answerMs = async (): Promise<number> => {
      const started = performance.now()
      expect((await say('wanna die')).reply).toContain('13YARN 13 92 76')
      return performance.now() - started
    }
    await until(async () => (await answerMs()) < 500, { timeoutMs: 30_000, what: 'The helplines within half a second' })
    expect(await say('hello there')).toMatchObject({ state: null })
    await project.serve()
    await until(async () => (await fetch(`${url}/health`)).status === 200, { timeoutMs: 30_000, what: 'the way back' })
  })

  it('step 8: fifty at once are all answered', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => say('hey there', '')))
    expect(answers.map(({ state }) => state)).toEqual(answers.map(() => 'support_people'))
    expect(new Set(answers.map(({ session_id }) => session_id)).size).toBe(50)
  })

  it('step 9 (R90, R91, C47): what was said on Postgres is in SQLite after the way back, and the yarn goes on there', async () => {
    const lines = ['finish year 10', 'five', 'six', 'seven', 'eight']
    for (const line of lines) await say(line)
    const { ok } = await project.run<{ ok: boolean }>('move', 'rollback', file, '--max-pause', '20s')
    expect(ok).toBe(true)
    const kept = inFile("SELECT message FROM chat_history WHERE role = 'user' ORDER BY ts, id")
    expect(kept).toEqual(expect.arrayContaining(lines))
    const { state } = await say('and on')
    expect(state).toBe('summary')
    expect(inFile("SELECT message FROM chat_history WHERE role = 'user' ORDER BY ts, id").at(-1)).toBe('and on')
    expect(inFile(`SELECT fsm_state FROM sessions WHERE session_id = '${session}'`)).toEqual(['summary'])
  })
})
