/**
 * One message and its answer. The risk check comes before any store, and a store that fails never changes what it answers; everything else of a
 * turn is one transaction.
 */
import { randomUUID } from 'node:crypto'
import { type Breaker, createBreaker } from 'tidemark/breaker'
import { isStep, type State } from './conversation/states.js'
import { riskReply, type Turn, takeTurn, type Yarn } from './conversation/take-turn.js'
import { failureOf } from './failure.js'
import type { Db } from './repository.js'
import * as repository from './repository.js'
import { detectRisk, type Risk } from './risk/detect.js'
import { saveTurn } from './save-turn.js'
import type { Wording } from './wording.js'

/** The store in charge, whichever it is. `write` runs in one transaction, again from the start where the store was switched meanwhile. */
export interface ChatStore {
  read<T>(fn: (db: Db) => Promise<T>): Promise<T>
  write<T>(fn: (db: Db) => Promise<T>): Promise<T>
}

/** Answers freely after the four steps; the signal says that nobody waits any more. What it raises is answered by the yarn itself. */
export type Respond = (history: readonly repository.Message[], signal: AbortSignal) => Promise<string>

export interface ChatOptions {
  readonly store: ChatStore
  readonly wording: Wording
  /** None: the yarn closes after its summary. */
  readonly respond?: Respond
  /** How long a turn waits for its store (C52). Default 2,000. */
  readonly budgetMs?: number
  /** How long a turn waits for `respond`. Default 8,000. */
  readonly respondBudgetMs?: number
  /** After so long without a word a session is over, and the next message begins another one. Default 30 minutes. */
  readonly idleMs?: number
  /** Hears of failures of the store and of `respond`. What they raise may quote words: {@link failureOf} says what may be written down. */
  readonly onFailure?: (error: unknown) => void
}

export interface Answer {
  readonly reply: string
  /** Another one than was asked with where that session was over. */
  readonly sessionId: string
  /** null where the store could not be asked. */
  readonly state: State | null
  readonly risk: Risk | null
  /** True where the answer did not wait for the store. */
  readonly degraded: boolean
}

export interface Chat {
  answer(message: string, sessionId?: string): Promise<Answer>
  /** What stands between the yarn and a store that is away (R72). */
  readonly breaker: Pick<Breaker, 'read'>
}

/** Nobody in danger waits for a store for long, and hardly for one that was too late just before. */
const riskBudgetMs = 300
const riskBudgetOfLateMs = 30
const longestReply = 4000

const late = (what: string, budgetMs: number): Error =>
  Object.assign(new Error(`${what} did not answer within ${budgetMs} ms`), { name: 'TimeoutError' })

const within = async <T>(work: Promise<T>, budgetMs: number, onLate: () => Error): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onLate()), budgetMs)
  })
  try {
    return await Promise.race([work, over])
  } finally {
    clearTimeout(timer)
  }
}

/** A yarn that begins. */
const fresh: Yarn = { state: 'welcome', completed: false, attempts: 0, answers: {}, lastReply: null }

const yarnOf = async (db: Db, sessionId: string): Promise<Yarn> => {
  const found = await repository.getConversation(db, sessionId)
  if (!found) return fresh
  const { fsmState: state, completed, responses, lastReply } = found
  return {
    state,
    completed,
    attempts: responses.find(({ step }) => step === state)?.attempts ?? 0,
    answers: Object.fromEntries(responses.flatMap(({ step, response }) => (response === null ? [] : [[step, response]]))),
    lastReply,
  }
}

/** A session that a turn goes on with, and holds until it is kept. */
interface Taken {
  readonly sessionId: string
  /** Nothing of it is kept yet. */
  readonly isNew: boolean
  readonly yarn: Yarn
}

/** The session that was asked for; another, of the name `own`, where that is over. */
const takeSession = async (db: Db, asked: string | undefined, own: string, idleMs: number): Promise<Taken> => {
  const another: Taken = { sessionId: own, isNew: true, yarn: fresh }
  if (asked === undefined) return another
  const since = new Date(Date.now() - idleMs)
  const isOn = () => repository.touchSession(db, asked, since)
  if (!(await isOn())) {
    if (await repository.createSession(db, asked)) return { sessionId: asked, isNew: false, yarn: fresh }
    // It is there: somebody has just made it, or it is over.
    if (!(await isOn())) return another
  }
  return { sessionId: asked, isNew: false, yarn: await yarnOf(db, asked) }
}

interface TurnOptions {
  readonly wording: Wording
  readonly message: string
  readonly risk: Risk | null
  readonly llmEnabled: boolean
}

/** A turn as the store keeps it: the words, what they were taken for, and what came of them. */
const turnIn = async (
  db: Db,
  { sessionId, isNew, yarn }: Taken,
  { wording, message, risk, llmEnabled }: TurnOptions,
): Promise<Turn> => {
  const startedAt = performance.now()
  const turn = takeTurn(wording, yarn, message, { risk, llmEnabled })
  const tookMs = Math.round(performance.now() - startedAt)
  const { reply, state, answer, attempts = 0, understood, completes, free } = turn
  await saveTurn(db, {
    ...{ sessionId, isNew, stateBefore: yarn.state, state, message, risk, answer },
    reply: free ? null : reply,
    intent: understood && { name: understood, tookMs },
    unclear: attempts > 0 && !answer && isStep(yarn.state) ? yarn.state : undefined,
    summary: completes && yarn.answers,
  })
  return turn
}

/** Turns that went without the store, until it says so itself. */
const createOutage = () => {
  let turns = 0
  return {
    add: (count: number): void => {
      turns += count
    },
    /** Gives what is to be noted to one of those who come at once. */
    take: (): number => {
      const taken = turns
      turns = 0
      return taken
    },
  }
}

/** Makes the part of the app that talks. */
export const createChat = ({
  store,
  wording,
  respond,
  budgetMs = 2000,
  respondBudgetMs = 8000,
  idleMs = 30 * 60_000,
  onFailure = () => {},
}: ChatOptions): Chat => {
  const llmEnabled = respond !== undefined
  const breaker = createBreaker({
    service: 'yarn-store',
    consecutiveTimeouts: 5,
    recoveryTimeoutMs: 1000,
    maxRecoveryTimeoutMs: 5000,
    successesToClose: 1,
  })
  const outage = createOutage()
  let wasLate = false

  /** Writes within the budget. What comes too late is undone, so that what was answered as lost is lost; a risk is kept all the same. */
  const writeInTime = <T>(work: (db: Db) => Promise<T>, risk: Risk | null): Promise<T> =>
    breaker.run(async () => {
      const limitMs = risk ? Math.min(budgetMs, wasLate ? riskBudgetOfLateMs : riskBudgetMs) : budgetMs
      let isLate = false
      const kept = store.write(async (db) => {
        const result = await work(db)
        if (isLate && !risk) throw late('The store', limitMs)
        return result
      })
      // Past the budget the answer no longer waits; what the store then says still has to be heard.
      kept.catch(() => {})
      const result = await within(kept, limitMs, () => {
        isLate = true
        wasLate = true
        return late('The store', limitMs)
      })
      wasLate = false
      return result
    })

  /** A model's words, or null where it has none in time. */
  const responseOf = async (sessionId: string): Promise<string | null> => {
    const ending = new AbortController()
    try {
      const history = await within(
        store.read((db) => repository.getHistory(db, sessionId)),
        budgetMs,
        () => late('The store', budgetMs),
      )
      const reply = await within(respond!(history, ending.signal), respondBudgetMs, () => late('The model', respondBudgetMs))
      return typeof reply === 'string' && reply.trim() !== '' ? reply.trim().slice(0, longestReply) : null
    } catch (error) {
      onFailure(error)
      return null
    } finally {
      ending.abort()
    }
  }

  /** The free part: the model is asked outside of any transaction. */
  const freely = async (sessionId: string, turn: Turn): Promise<string> => {
    const reply = await responseOf(sessionId)
    await writeInTime(async (db) => {
      await repository.saveMessage(db, sessionId, 'bot', reply ?? turn.reply)
      await repository.saveAnalyticsEvent(db, reply === null ? 'llm_fallback_used' : 'llm_turn_completed')
      if (reply === null)
        await repository.logSystemEvent(db, 'WARNING', 'model', 'A turn was answered without the model', sessionId)
    }, null).catch(onFailure)
    return reply ?? turn.reply
  }

  return {
    breaker,
    answer: async (message, asked) => {
      const risk = detectRisk(message)
      const own = randomUUID()
      const missed = outage.take()
      try {
        const { turn, sessionId } = await writeInTime(async (db) => {
          const session = await takeSession(db, asked, own, idleMs)
          const turn = await turnIn(db, session, { wording, message, risk, llmEnabled })
          if (missed > 0)
            await repository.logSystemEvent(db, 'WARNING', 'store', `${missed} turns were answered without the store`)
          return { turn, sessionId: session.sessionId }
        }, risk)
        const reply = turn.free ? await freely(sessionId, turn) : turn.reply
        return { reply, sessionId, state: turn.state, risk, degraded: false }
      } catch (error) {
        outage.add(missed + 1)
        onFailure(error)
        const reply = risk ? riskReply(wording, risk) : wording.fallback
        return { reply, sessionId: asked ?? own, state: null, risk, degraded: true }
      }
    },
  }
}
