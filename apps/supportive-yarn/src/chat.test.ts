import { sql } from 'kysely'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { type ChatStore, createChat, type Respond } from './chat.js'
import * as repository from './repository.js'
import type { Tables } from './tables.js'
import { openMemoryStore } from './testing/memory-store.js'
import { readWording } from './wording.js'

const wording = readWording()

const countIn = async (db: repository.Db, table: keyof Tables): Promise<number> => {
  const { n } = await db
    .selectFrom(table)
    .select((row) => row.fn.countAll().as('n'))
    .executeTakeFirstOrThrow()
  return Number(n)
}

afterEach(() => {
  vi.useRealTimers()
})

const timed = async <T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly tookMs: number }> => {
  const startedAt = performance.now()
  const result = await work()
  return { result, tookMs: performance.now() - startedAt }
}

describe('a yarn whose store is slow or away', () => {
  it('C52: is answered kindly once the budget is over, and what comes too late is undone', async () => {
    const { db, store } = openMemoryStore()
    const answered: Promise<unknown>[] = []
    const gates: (() => void)[] = []
    const slow: ChatStore = {
      ...store,
      write: (fn) => {
        const kept = store.write(async (trx) => {
          await new Promise<void>((open) => gates.push(open))
          return fn(trx)
        })
        answered.push(kept.catch(() => {}))
        return kept
      },
    }
    const openGates = async (): Promise<void> => {
      for (const open of gates.splice(0)) open()
      await Promise.all(answered)
    }
    const chat = createChat({ store: slow, wording, budgetMs: 30 })
    expect(await chat.answer('hey there')).toMatchObject({ reply: wording.fallback, state: null, degraded: true })
    await openGates()
    expect(await countIn(db, 'sessions')).toBe(0)
    // What was found of a risk is kept, however late.
    expect((await chat.answer('wanna die')).reply).toContain('13YARN 13 92 76')
    await openGates()
    expect(await countIn(db, 'risk_detections')).toBe(1)
  })

  it('R72: delays helplines once, and then hardly, until it is in time again', async () => {
    vi.useFakeTimers()
    const { store } = openMemoryStore()
    let hangs = true
    const hanging: ChatStore = { ...store, write: (fn) => (hangs ? new Promise(() => {}) : store.write(fn)) }
    const chat = createChat({ store: hanging, wording })
    const answeredAfter = async (ms: number): Promise<void> => {
      let reply: string | undefined
      void chat.answer('wanna die').then((answer) => {
        reply = answer.reply
      })
      await vi.advanceTimersByTimeAsync(ms - 1)
      expect(reply).toBeUndefined()
      await vi.advanceTimersByTimeAsync(1)
      expect(reply).toContain('13YARN 13 92 76')
    }
    await answeredAfter(300)
    await answeredAfter(30)
    hangs = false
    expect((await chat.answer('hey there')).degraded).toBe(false)
    hangs = true
    await answeredAfter(300)
  })

  it('R72: is not asked after five time-outs, answers a risk within 50 ms all the same, and comes back by itself', async () => {
    const { db, store } = openMemoryStore()
    let isAway = true
    let asked = 0
    const flaky: ChatStore = {
      ...store,
      write: (fn) => {
        asked++
        return isAway ? Promise.reject(new DOMException('no answer', 'TimeoutError')) : store.write(fn)
      },
    }
    const chat = createChat({ store: flaky, wording })
    for (let n = 0; n < 8; n++) expect((await chat.answer('hey there')).reply).toBe(wording.fallback)
    expect([asked, chat.breaker.read().state]).toEqual([5, 'OPEN'])
    const took: number[] = []
    for (let n = 0; n < 5; n++) {
      const { result, tookMs } = await timed(() => chat.answer('i cant go on, wanna die'))
      for (const { name, number } of wording.helplines) expect(result.reply).toContain(`${name} ${number}`)
      took.push(tookMs)
    }
    // The least, since the machine may have other things to do.
    expect(Math.min(...took)).toBeLessThan(50)
    isAway = false
    await until(async () => !(await chat.answer('hey there', 'one')).degraded, { what: 'the way back' })
    expect(chat.breaker.read().state).toBe('CLOSED')
    const logs = await db.selectFrom('system_logs').select(['log_level', 'component', 'message']).execute()
    expect(logs).toEqual([
      { log_level: 'WARNING', component: 'store', message: expect.stringMatching(/^\d+ turns were answered without the store$/) },
    ])
  })
})

describe('a session', () => {
  it('is over after half an hour without a word, and the next message begins another one', async () => {
    const { db, store } = openMemoryStore()
    const chat = createChat({ store, wording })
    const wait = (minutes: number) =>
      sql`UPDATE sessions SET last_activity = datetime(last_activity, ${`-${minutes} minutes`})`.execute(db)
    const { sessionId } = await chat.answer('hey there')
    await wait(29)
    expect(await chat.answer('my nan', sessionId)).toMatchObject({ sessionId, state: 'strengths' })
    await wait(31)
    const later = await chat.answer('hello again', sessionId)
    expect(later.state).toBe('support_people')
    expect(later.sessionId).not.toBe(sessionId)
    expect(await chat.answer('my nan', later.sessionId)).toMatchObject({ sessionId: later.sessionId, state: 'strengths' })
  })
})

describe('a model', () => {
  const untilFree = ['hey there', 'my nan', 'footy', 'school', 'finish year 10', 'sounds right']

  const talk = async (respond?: Respond) => {
    const { db, store } = openMemoryStore()
    const failures: unknown[] = []
    const chat = createChat({
      store,
      wording,
      respondBudgetMs: 50,
      onFailure: (error) => failures.push(error),
      ...(respond && { respond }),
    })
    for (const message of untilFree) await chat.answer(message, 'one')
    return { db, failures, answer: (message: string) => chat.answer(message, 'one') }
  }

  it('is not needed', async () => {
    const { answer } = await talk()
    expect(await answer('are you there')).toMatchObject({ reply: wording.closing, state: 'summary', degraded: false })
  })

  it('answers after the four steps, with what was said in its order, and never a risk', async () => {
    const heard: string[] = []
    const { db, answer } = await talk(async (history) => {
      heard.push(history.at(-1)!.message)
      return 'Tell me more.'
    })
    expect((await answer('i like trains')).reply).toBe('Tell me more.')
    expect((await answer('wanna die')).reply).toContain('Lifeline 13 11 14')
    expect(heard).toEqual(['i like trains'])
    expect(await repository.countAnalytics(db, 'llm_turn_completed')).toBe(1)
  })

  it.each<readonly [string, Respond]>([
    ['fails', () => Promise.reject(new Error('no model'))],
    ['says nothing', async () => ' '],
    [
      'takes too long',
      (_history, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    ],
  ])('that %s is done without, and that is counted', async (_how, respond) => {
    const { db, answer } = await talk(respond)
    expect(await answer('i like trains')).toMatchObject({ reply: wording.closing, state: 'llm_conversation', degraded: false })
    expect(await repository.countAnalytics(db, 'llm_fallback_used')).toBe(1)
    expect(await countIn(db, 'system_logs')).toBe(1)
  })
})
