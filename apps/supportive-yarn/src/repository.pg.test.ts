import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { Kysely, PostgresDialect, SqliteDialect, sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyMove } from '../../../packages/tidemark/src/move/copy/copy.js'
import { planMove } from '../../../packages/tidemark/src/move/plan/plan.js'
import { verifyMove } from '../../../packages/tidemark/src/move/verify/verify.js'
import { appSource, platformSource } from '../../../packages/tidemark/src/schema/migration-files.js'
import { createMigrator } from '../../../packages/tidemark/src/schema/migrator.js'
import {
  connectTo,
  createBootstrappedDatabase,
  testUrl,
} from '../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import type { TestDatabase } from '../../../packages/tidemark/src/testing/postgres/database.js'
import { type ChatStore, createChat } from './chat.js'
import { cleanUp } from './clean-up.js'
import { failureOf } from './failure.js'
import { generate } from './generate.js'
import type { Db } from './repository.js'
import * as repository from './repository.js'
import { phrases } from './risk/phrases.js'
import { sqliteSchema } from './sqlite-schema.js'
import { supportiveYarn } from './supportive-yarn.js'
import type { Tables } from './tables.js'
import { readWording } from './wording.js'

const folder = mkdtempSync(join(tmpdir(), 'yarn-'))
let database: TestDatabase
let file: string
const stores = new Map<string, Db>()

beforeAll(async () => {
  database = await createBootstrappedDatabase()
  const connect = connectTo(testUrl(database.url, 'migrator'))
  await createMigrator({ connect, sources: [platformSource, appSource(supportiveYarn.name, supportiveYarn.migrations)] }).up()
  file = join(folder, 'chat_history.db')
  const sqlite = new Database(file)
  sqlite.pragma('foreign_keys = ON')
  sqlite.exec(sqliteSchema)
  stores.set('sqlite', new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) }))
  const pool = new pg.Pool({ connectionString: testUrl(database.url, 'app'), max: 4 })
  stores.set('postgres', new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) }))
})

afterAll(async () => {
  for (const db of stores.values()) await db.destroy()
  await database?.drop()
  rmSync(folder, { recursive: true, force: true })
})

const storeOf = (db: Db): ChatStore => ({ read: (fn) => fn(db), write: (fn) => db.transaction().execute(fn) })

describe.each(['sqlite', 'postgres'])('the repository on %s', (provider) => {
  const db = (): Db => stores.get(provider)!
  const newSession = async (): Promise<string> => {
    const id = randomUUID()
    await repository.createSession(db(), id)
    return id
  }
  const count = async (table: keyof Tables, id: string): Promise<number> => {
    const { rows } = await sql<{
      n: number | string
    }>`SELECT count(*) AS n FROM ${sql.table(table)} WHERE session_id = ${id}`.execute(db())
    return Number(rows[0]!.n)
  }

  it('R103, R130: makes a session in the state it is told', async () => {
    const id = randomUUID()
    await repository.createSession(db(), id, 'welcome')
    expect(await repository.getSessionData(db(), id)).toEqual({ sessionId: id, fsmState: 'welcome', completed: false })
    expect(await repository.getSessionData(db(), randomUUID())).toBeNull()
  })

  it('C39: a second createSession keeps the state of a live session', async () => {
    const id = await newSession()
    await repository.updateSessionState(db(), id, 'support_people')
    expect(await repository.createSession(db(), id)).toBe(false)
    expect((await repository.getSessionData(db(), id))?.fsmState).toBe('support_people')
  })

  it('R103, R130, C40: a message of a session that was never made is kept', async () => {
    const id = randomUUID()
    await repository.saveMessage(db(), id, 'user', 'Hello')
    expect(await repository.getHistory(db(), id, 1)).toEqual([{ role: 'user', message: 'Hello' }])
  })

  it('C41: a detection and its count are kept together or not at all', async () => {
    const id = await newSession()
    const before = await repository.countAnalytics(db(), 'risk_triggered')
    const risk = { severity: 'high', phrase: 'suicide' } as const
    await expect(
      db()
        .transaction()
        .execute(async (transaction) => {
          await repository.saveRiskDetection(transaction, id, risk, 'x')
          throw new Error('broken off')
        }),
    ).rejects.toThrow('broken off')
    expect(await count('risk_detections', id)).toBe(0)
    expect(await repository.countAnalytics(db(), 'risk_triggered')).toBe(before)
    await repository.saveRiskDetection(db(), id, risk, 'x')
    expect(await count('risk_detections', id)).toBe(1)
    expect(await repository.countAnalytics(db(), 'risk_triggered')).toBe(before + 1)
  })

  it('C42: activity is a time, not the words now()', async () => {
    const id = await newSession()
    await repository.saveMessage(db(), id, 'user', 'x')
    const { last_activity } = await db()
      .selectFrom('sessions')
      .select('last_activity')
      .where('session_id', '=', id)
      .executeTakeFirstOrThrow()
    const text = last_activity instanceof Date ? last_activity.toISOString() : `${last_activity.replace(' ', 'T')}Z`
    expect(Math.abs(Date.now() - Date.parse(text))).toBeLessThan(60_000)
  })

  it('C43: history is the newest, oldest first, those of one second in their order', async () => {
    const id = await newSession()
    for (let i = 0; i < 10; i++) await repository.saveMessage(db(), id, i % 2 ? 'bot' : 'user', String(i))
    expect((await repository.getHistory(db(), id)).map(({ message }) => message)).toEqual(['4', '5', '6', '7', '8', '9'])
  })

  it('R100: a history comes in pages that hold each message once, whatever is said meanwhile', async () => {
    const [id, other] = [await newSession(), await newSession()]
    for (let i = 0; i < 7; i++) for (const each of [id, other]) await repository.saveMessage(db(), each, 'user', String(i))
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await repository.getHistoryPage(db(), id, 2, cursor)
      found.unshift(...page.messages.map(({ message }) => message))
      await repository.saveMessage(db(), id, 'bot', 'meanwhile')
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    expect(found).toEqual(['0', '1', '2', '3', '4', '5', '6'])
    const { next } = await repository.getHistoryPage(db(), id, 2)
    expect(await repository.getHistoryPage(db(), other, 2, next!)).toEqual({ messages: [], next: null })
  })

  it('C44: attempts that are counted at once are all counted', async () => {
    const id = await newSession()
    const counts = await Promise.all(Array.from({ length: 8 }, () => repository.updateAttemptCount(db(), id, 'worries')))
    expect([...counts].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    await repository.resetAttemptCount(db(), id, 'worries')
    expect(await repository.getUserResponses(db(), id)).toEqual([{ step: 'worries', response: null, attempts: 0 }])
  })

  it('a later answer to a step stands in for the earlier one', async () => {
    const id = await newSession()
    await repository.saveUserResponse(db(), id, 'goals', 'one')
    await repository.saveUserResponse(db(), id, 'goals', 'two')
    expect(await repository.getUserResponses(db(), id)).toEqual([{ step: 'goals', response: 'two', attempts: 0 }])
  })

  it('S3.10: removes what was completed 31 days ago, and keeps its counts', async () => {
    const id = await newSession()
    await repository.updateSessionState(db(), id, 'support_people')
    await repository.saveMessage(db(), id, 'user', 'x')
    await repository.completeSession(db(), id)
    const open = await newSession()
    const events = await repository.countAnalytics(db(), 'session_completed')
    expect(await repository.cleanupOldSessions(db(), 30, new Date(Date.now() + 29 * 86_400_000))).toBe(0)
    expect(await repository.cleanupOldSessions(db(), 30, new Date(Date.now() + 31 * 86_400_000))).toBe(1)
    expect(await repository.getSessionData(db(), id)).toBeNull()
    expect(await count('chat_history', id)).toBe(0)
    expect(await repository.getSessionData(db(), open)).not.toBeNull()
    expect(await repository.countAnalytics(db(), 'session_completed')).toBe(events)
  })

  it('R15, R16, R17: everything of a session goes with it, but for the counts, which name none', async () => {
    const id = await newSession()
    await repository.saveMessage(db(), id, 'user', 'x')
    await repository.saveUserResponse(db(), id, 'goals', 'x')
    await repository.saveRiskDetection(db(), id, { severity: 'high', phrase: 'suicide' }, 'x')
    await repository.saveSessionSummary(db(), id, 'partial', { goals: 'x' })
    await repository.saveIntentClassification(db(), id, 'x', 'clear', 1, 'rule_based', 'goals', 0)
    await repository.logSystemEvent(db(), 'INFO', 'test', 'nothing', id)
    const tables = [
      'sessions', 'chat_history', 'user_responses', 'risk_detections', 'session_summaries', 'intent_classifications', 'system_logs',
    ] as const // biome-ignore format: one line reads better
    for (const table of tables) expect([table, await count(table, id)]).toEqual([table, 1])
    const counted = await repository.countAnalytics(db(), 'risk_triggered')
    await db().deleteFrom('sessions').where('session_id', '=', id).execute()
    for (const table of tables) expect([table, await count(table, id)]).toEqual([table, 0])
    expect(await repository.countAnalytics(db(), 'risk_triggered')).toBe(counted)
  })

  it('R105: counts what happened since a moment', async () => {
    const since = new Date(Date.now() - 60_000)
    const before = await repository.getAnalytics(db(), since)
    const id = await newSession()
    await repository.completeSession(db(), id)
    const after = await repository.getAnalytics(db(), since)
    for (const event of ['session_started', 'session_completed'] as const)
      expect((after[event] ?? 0) - (before[event] ?? 0)).toBe(1)
    expect(await repository.getAnalytics(db(), new Date(Date.now() + 86_400_000))).toEqual({})
  })

  it('lets go of what nobody completed, and of its own notes, in their time', async () => {
    const id = await newSession()
    const completed = await newSession()
    await repository.completeSession(db(), completed)
    await repository.logSystemEvent(db(), 'INFO', 'test', 'old')
    const store = storeOf(db())
    const after = (days: number) =>
      cleanUp(store, { completedDays: 1000, abandonedDays: 90, logDays: 120 }, new Date(Date.now() + days * 86_400_000))
    expect(await after(89)).toEqual({ completed: 0, abandoned: 0, logs: 0 })
    expect((await after(91)).abandoned).toBeGreaterThan(0)
    expect(await repository.getSessionData(db(), id)).toBeNull()
    expect(await repository.getSessionData(db(), completed)).not.toBeNull()
    expect((await after(121)).logs).toBeGreaterThan(0)
  })

  it('SEC-2: what is written down of a refusal quotes no word of the row', async () => {
    const id = await newSession()
    const refused = { session_id: id, role: 'nobody' as 'user', message: 'my secret words' }
    const error = await db()
      .insertInto('chat_history')
      .values(refused)
      .execute()
      .catch((reason: unknown) => reason)
    const failure = failureOf(error)
    expect(failure.kind).toMatch(/^(23514|SQLITE_CONSTRAINT_CHECK)$/)
    const quoting = new Error('Failing row contains (1, my secret words\n    at my secret words)')
    expect(JSON.stringify([failure, failureOf(quoting)])).not.toContain('secret')
  })

  it('R104, R105, R106: holds a whole yarn', async () => {
    const chat = createChat({ store: storeOf(db()), wording: readWording() })
    const first = await chat.answer('hey there')
    const states = [first.state]
    for (const message of [
      'my nan and my cousin',
      'footy and drawing',
      'idk',
      'dunno',
      'wanna die',
      'hm',
      'yes',
      'finish year 10',
      'ok',
    ])
      states.push((await chat.answer(message, first.sessionId)).state)
    expect(states).toEqual([
      'support_people', 'strengths', 'worries', 'worries', 'goals', 'goals', 'goals', 'goals', 'summary', 'summary',
    ]) // biome-ignore format: one line reads better
    expect(await count('risk_detections', first.sessionId)).toBe(1)
    expect(await count('chat_history', first.sessionId)).toBe(20)
    expect(await repository.getSessionSummaries(db(), first.sessionId)).toEqual([
      {
        type: 'complete',
        data: {
          support_people: 'my nan and my cousin',
          strengths: 'footy and drawing',
          worries: 'Unclear: dunno',
          goals: 'finish year 10',
        },
      },
    ])
    const intents = await db()
      .selectFrom('intent_classifications')
      .select(['user_message', 'classified_intent', 'method', 'fsm_state'])
      .where('session_id', '=', first.sessionId)
      .orderBy('id')
      .execute()
    expect(intents.map(({ classified_intent, fsm_state }) => [fsm_state, classified_intent])).toEqual([
      ['support_people', 'clear'],
      ['strengths', 'clear'],
      ['worries', 'unclear'],
      ['worries', 'unclear'],
      ['goals', 'clear'],
    ])
    const answers = await repository.getUserResponses(db(), first.sessionId)
    expect(answers.find(({ step }) => step === 'worries')).toEqual({ step: 'worries', response: 'Unclear: dunno', attempts: 0 })
    expect((await repository.getSessionData(db(), first.sessionId))?.completed).toBe(true)
  })

  it('two messages that come at once are two turns, also where they begin the session', async () => {
    const chat = createChat({ store: storeOf(db()), wording: readWording() })
    const id = randomUUID()
    const both = async (...messages: string[]) =>
      (await Promise.all(messages.map((message) => chat.answer(message, id)))).map(({ state }) => state).sort()
    expect(await both('hey there', 'hello you')).toEqual(['strengths', 'support_people'])
    expect(await both('footy and drawing', 'school is hard')).toEqual(['goals', 'worries'])
    expect([await count('user_responses', id), await count('chat_history', id)]).toEqual([3, 8])
    const said = await repository.getHistory(db(), id, 8)
    expect(said.map(({ role }) => role)).toEqual(['user', 'bot', 'user', 'bot', 'user', 'bot', 'user', 'bot'])
  })

  it('R72: goes on talking when the store fails', async () => {
    const broken: ChatStore = { read: () => Promise.reject(new Error('down')), write: () => Promise.reject(new Error('down')) }
    const wording = readWording()
    const chat = createChat({ store: broken, wording })
    expect(await chat.answer('hey there')).toMatchObject({ reply: wording.fallback, degraded: true })
    expect((await chat.answer('wanna die')).reply).toContain('13YARN 13 92 76')
  })
})

describe('a turn on Postgres', () => {
  it('R136: takes its session, reads once and keeps all in one statement; the first turn keeps and no more', async () => {
    const asked: string[] = []
    const pool = new pg.Pool({ connectionString: testUrl(database.url, 'app'), max: 1 })
    const log = ({ query }: { readonly query: { readonly sql: string } }) => void asked.push(query.sql.split(' ', 1)[0]!)
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), log })
    const chat = createChat({ store: storeOf(db), wording: readWording() })
    try {
      const { sessionId } = await chat.answer('hey there')
      expect(asked.splice(0)).toEqual(['begin', 'with', 'commit'])
      for (const message of ['my nan', 'idk', 'wanna die', 'hm', 'yes', 'dunno']) {
        await chat.answer(message, sessionId)
        expect(asked.splice(0)).toEqual([
          'begin',
          'update',
          'select',
          message === 'hm' || message === 'yes' ? 'insert' : 'with',
          'commit',
        ])
      }
    } finally {
      await db.destroy()
    }
  })
})

describe('the tables of both stores', () => {
  it('Postgres knows the tier of each phrase of the list, and of no other; callers do not ask it', async () => {
    const db = stores.get('postgres')!
    const tierOf = async (phrase: string): Promise<string | null> =>
      (await sql<{ tier: string | null }>`SELECT public.risk_tier(${phrase}) AS tier`.execute(db)).rows[0]!.tier
    for (const { text, severity } of phrases) expect([text, await tierOf(text)]).toEqual([text, severity])
    expect(await tierOf('my nan')).toBeNull()
    const { rows } = await sql<{ may: boolean }>`
      SELECT has_function_privilege(r, 'public.risk_tier(text)', 'execute') AS may
        FROM unnest(array['anon', 'authenticated', 'service_role']) r`.execute(db)
    expect(rows.map(({ may }) => may)).toEqual([false, false, true])
  })

  it('R83: the file moves into the tables of the migrations, to the byte', async () => {
    const target = { url: testUrl(database.url, 'migrator') }
    const client = new pg.Client({ connectionString: target.url })
    await client.connect()
    await client.query('TRUNCATE sessions, analytics CASCADE')
    await client.end()
    const plan = await planMove({ path: file, into: 'existing', mapPath: fileURLToPath(supportiveYarn.moveMap), target })
    expect(plan.hazards.filter(({ severity }) => severity === 'loss')).toEqual([])
    expect(
      plan.tables.flatMap(({ source, rows, columns }) =>
        columns.flatMap((column) => (column.invertible || rows === 0 ? [] : [`${source}.${column.source}`])),
      ),
    ).toEqual([])
    const copied = await copyMove(plan, { target })
    expect(copied.ok).toBe(true)
    expect((await verifyMove(plan, { target })).ok).toBe(true)
  })

  it('R83, R87: a made-up file of two hundred yarns moves whole, and what is wrong with it is told row by row', async () => {
    const path = join(folder, 'made-up.db')
    const { sessions, messages, flaws } = generate(path, { seed: 7 })
    expect(() => generate(path)).toThrow('exists')
    const target = { url: testUrl(database.url, 'migrator') }
    const client = new pg.Client({ connectionString: target.url })
    await client.connect()
    try {
      await client.query('TRUNCATE sessions, analytics CASCADE')
      const plan = await planMove({ path, into: 'existing', mapPath: fileURLToPath(supportiveYarn.moveMap), target })
      expect((await copyMove(plan, { target })).ok).toBe(true)
      const { ok, tables } = await verifyMove(plan, { target })
      const rejected = tables.flatMap(({ table, rejected }) => (rejected > 0 ? [[table, rejected]] : []))
      expect([ok, Object.fromEntries(rejected)]).toEqual([
        true,
        { chat_history: flaws.orphanMessages, session_summaries: flaws.brokenSummaries },
      ])
      const { rows } =
        await client.query(`select (select count(*)::int from sessions) as sessions, (select count(*)::int from chat_history) as messages,
        (select count(*)::int from analytics where event_type = 'step_completed' and event_data is null) as events`)
      expect(rows).toEqual([{ sessions, messages: messages - flaws.orphanMessages, events: flaws.brokenEvents }])
    } finally {
      await client.end()
    }
  })

  it('C49: nobody but the server reads a word', async () => {
    const client = new pg.Client({ connectionString: testUrl(database.url, 'authenticator') })
    await client.connect()
    for (const role of ['anon', 'authenticated']) {
      await client.query('BEGIN')
      await client.query(`SET LOCAL ROLE ${role}`)
      await expect(client.query('SELECT count(*) FROM public.chat_history')).rejects.toMatchObject({ code: '42501' })
      await client.query('ROLLBACK')
    }
    await client.end()
  })
})
