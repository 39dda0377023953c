/** What one turn leaves behind, kept in as few round trips as the store allows. */
import type { Message } from './answers.js'
import type { State, Step } from './conversation/states.js'
import type { Risk } from './risk/detect.js'
import {
  type CountedEvent,
  countAttempt,
  type Db,
  insertEvents,
  insertIntent,
  insertMessages,
  insertRisk,
  insertSession,
  insertSummary,
  keep,
  updateSession,
  upsertAnswer,
} from './statements.js'

export interface SavedTurn {
  readonly sessionId: string
  /** True where the session begins with this turn, and nothing of it is kept yet. */
  readonly isNew: boolean
  readonly stateBefore: State
  readonly state: State
  readonly message: string
  /** null where it is kept later. */
  readonly reply: string | null
  readonly risk: Risk | null
  /** What the message was taken for by rules, and how long that took. */
  readonly intent?: { readonly name: string; readonly tookMs: number } | undefined
  /** An answer to a step: what was unclear before it counts no more. */
  readonly answer?: { readonly step: Step; readonly text: string } | undefined
  /** The step to which this was an unclear answer. */
  readonly unclear?: Step | undefined
  /** The answers of a session that this turn completes. */
  readonly summary?: Readonly<Record<string, unknown>> | undefined
}

const eventsOf = ({ isNew, risk, intent, answer, summary }: SavedTurn): readonly CountedEvent[] => [
  ...(isNew ? [{ event: 'session_started' } as const] : []),
  ...(risk ? [{ event: 'risk_triggered', data: { severity: risk.severity } } as const] : []),
  ...(intent ? [{ event: 'rule_based_used', data: { intent: intent.name } } as const] : []),
  ...(answer ? [{ event: 'step_completed', data: { step: answer.step } } as const] : []),
  ...(summary ? [{ event: 'session_completed' } as const] : []),
]

const sessionOf = (db: Db, { sessionId, isNew, stateBefore, state, summary }: SavedTurn) => {
  if (isNew) return [insertSession(db, sessionId, state)]
  const moves = state !== stateBefore
  return moves || summary ? [updateSession(db, sessionId, { ...(moves && { state }), completes: summary !== undefined })] : []
}

/** Keeps all of it or nothing, in the caller's transaction; the session is there, and active, where it is not new. */
export const saveTurn = async (db: Db, turn: SavedTurn): Promise<void> => {
  const { sessionId, message, reply, risk, intent, answer, unclear, summary, stateBefore: fsmState } = turn
  const events = eventsOf(turn)
  const said: readonly Message[] = [
    { role: 'user', message },
    ...(reply === null ? [] : [{ role: 'bot', message: reply } as const]),
  ]
  const found = intent && {
    ...{ userMessage: message, classifiedIntent: intent.name, confidence: 1, fsmState },
    ...({ method: 'rule_based', inferenceTimeMs: intent.tookMs } as const),
  }
  await keep(db, [
    ...sessionOf(db, turn),
    insertMessages(db, sessionId, said),
    ...(risk ? [insertRisk(db, sessionId, risk, message)] : []),
    ...(found ? [insertIntent(db, sessionId, found)] : []),
    ...(answer ? [upsertAnswer(db, sessionId, answer.step, answer.text, { resets: true })] : []),
    ...(unclear ? [countAttempt(db, sessionId, unclear)] : []),
    ...(summary ? [insertSummary(db, sessionId, 'complete', summary)] : []),
    ...(events.length > 0 ? [insertEvents(db, events)] : []),
  ])
}
