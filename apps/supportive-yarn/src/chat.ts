/**
 * One message and its answer. The risk check comes before any store, and a store that fails never changes what it answers; everything else of a
 * turn is one transaction.
 */
import { randomUUID } from 'node:crypto'
import type { State, Step } from './conversation/states.js'
import { riskReply, type Turn, takeTurn, type Yarn } from './conversation/take-turn.js'
import type { Db } from './repository.js'
import * as repository from './repository.js'
import { detectRisk, type Risk } from './risk/detect.js'
import type { Wording } from './wording.js'

/** The store in charge, whichever it is. `write` runs in one transaction, again from the start where the store was switched meanwhile. */
export interface ChatStore {
  read<T>(fn: (db: Db) => Promise<T>): Promise<T>
  write<T>(fn: (db: Db) => Promise<T>): Promise<T>
}

export interface ChatOptions {
  readonly store: ChatStore
  readonly wording: Wording
  /** Answers freely after the four steps; none: the yarn closes. */
  readonly respond?: (history: readonly repository.Message[]) => Promise<string>
  /** How long a turn waits for its store (C52). Default 2,000. */
  readonly budgetMs?: number
  /** Hears of failures of the store, without any words of the yarn. */
  readonly onStoreError?: (error: unknown) => void
}

export interface Answer {
  readonly reply: string
  readonly sessionId: string
  /** null where the store could not be asked. */
  readonly state: State | null
  readonly risk: Risk | null
  /** True where nothing of this turn was kept. */
  readonly degraded: boolean
}

const yarnOf = async (db: Db, sessionId: string): Promise<Yarn> => {
  const session = await repository.getSessionData(db, sessionId)
  const responses = await repository.getUserResponses(db, sessionId)
  const last = (await repository.getHistory(db, sessionId, 2)).findLast(({ role }) => role === 'bot')
  const state = session?.fsmState ?? 'welcome'
  return {
    state,
    completed: session?.completed ?? false,
    attempts: responses.find(({ step }) => step === state)?.attempts ?? 0,
    answers: Object.fromEntries(responses.flatMap(({ step, response }) => (response === null ? [] : [[step, response]]))),
    lastReply: last?.message ?? null,
  }
}

const keepTurn = async (db: Db, sessionId: string, before: Yarn, turn: Turn): Promise<void> => {
  if (turn.answer) await repository.saveUserResponse(db, sessionId, turn.answer.step, turn.answer.text)
  if (turn.attempts !== undefined && turn.attempts > 0 && !turn.answer)
    await repository.updateAttemptCount(db, sessionId, before.state as Step)
  if (turn.answer && before.attempts > 0) await repository.resetAttemptCount(db, sessionId, turn.answer.step)
  if (turn.state !== before.state) await repository.updateSessionState(db, sessionId, turn.state)
  if (turn.completes) {
    await repository.completeSession(db, sessionId)
    await repository.saveSessionSummary(db, sessionId, 'complete', before.answers)
  }
  await repository.saveMessage(db, sessionId, 'bot', turn.reply)
}

const within = async <T>(work: Promise<T>, budgetMs: number): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the store did not answer within ${budgetMs} ms`)), budgetMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Nobody in danger waits for a store. */
const riskBudgetMs = 300

export interface Chat {
  answer(message: string, sessionId?: string): Promise<Answer>
}

/** Makes the part of the app that talks. */
export const createChat = ({ store, wording, respond, budgetMs = 2000, onStoreError = () => {} }: ChatOptions): Chat => {
  const llmEnabled = respond !== undefined

  const turnIn = async (db: Db, sessionId: string, message: string, risk: Risk | null): Promise<Turn> => {
    await repository.saveMessage(db, sessionId, 'user', message)
    if (risk) await repository.saveRiskDetection(db, sessionId, risk, message)
    const before = await yarnOf(db, sessionId)
    const turn = takeTurn(wording, before, message, { risk, llmEnabled })
    if (!turn.free) await keepTurn(db, sessionId, before, turn)
    return turn
  }

  /** The free part: the model is asked outside of any transaction. */
  const freely = async (sessionId: string, turn: Turn): Promise<string> => {
    const history = await store.read((db) => repository.getHistory(db, sessionId))
    const reply = await respond!(history).catch(() => null)
    await store.write(async (db) => {
      await repository.saveMessage(db, sessionId, 'bot', reply ?? turn.reply)
      await repository.saveAnalyticsEvent(db, reply === null ? 'llm_fallback_used' : 'llm_turn_completed')
    })
    return reply ?? turn.reply
  }

  return {
    answer: async (message, sessionId = randomUUID()) => {
      const risk = detectRisk(message)
      try {
        const kept = store.write((db) => turnIn(db, sessionId, message, risk))
        // Past the budget the answer no longer waits; what the store then says still has to be heard.
        kept.catch(() => {})
        const turn = await within(kept, risk ? Math.min(budgetMs, riskBudgetMs) : budgetMs)
        const reply = turn.free ? await freely(sessionId, turn) : turn.reply
        return { reply, sessionId, state: turn.state, risk, degraded: false }
      } catch (error) {
        onStoreError(error)
        const reply = risk ? riskReply(wording, risk) : wording.fallback
        return { reply, sessionId, state: null, risk, degraded: true }
      }
    },
  }
}
