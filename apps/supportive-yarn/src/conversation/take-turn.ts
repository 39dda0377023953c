/** One turn as a pure function: what was said, and where the yarn stands, give the reply and what to keep. */
import type { Risk } from '../risk/detect.js'
import { helplineBlock, type Wording } from '../wording.js'
import { isStep, type State, type Step, steps } from './states.js'
import { type Understanding, understand, wishOf } from './understand.js'

/** Where a yarn stands before the turn. */
export interface Yarn {
  readonly state: State
  readonly completed: boolean
  /** Unclear answers to the present step so far. */
  readonly attempts: number
  readonly answers: Readonly<Partial<Record<Step, string>>>
  /** The last reply, by which a yarn that was paused is known. */
  readonly lastReply: string | null
}

export interface Turn {
  readonly reply: string
  readonly state: State
  readonly answer?: { readonly step: Step; readonly text: string }
  /** The count of unclear answers to this step, where the turn changed it. */
  readonly attempts?: number
  /** What the answer to a step was taken for. */
  readonly understood?: Understanding
  readonly completes?: true
  /** The free part: `reply` is what is said where no model answers. */
  readonly free?: true
}

const maxAttempts = 2

export const riskReply = (wording: Wording, { severity }: Risk): string => `${wording.risk[severity]}\n${helplineBlock(wording)}`

const counsellorReply = (wording: Wording): string => `${wording.risk.counsellor}\n${helplineBlock(wording)}`

/** By which an answer is kept that could not be understood; nobody is shown it. */
const unclear = 'Unclear: '

const wordsOf = (answer: string | undefined): string | undefined =>
  answer?.startsWith(unclear) ? answer.slice(unclear.length) : answer

const summaryText = (wording: Wording, answers: Yarn['answers']): string => {
  const { lead, labels, empty, confirm } = wording.summary
  return [lead, ...steps.map((step) => `${labels[step]}: ${wordsOf(answers[step]) ?? empty}`), confirm].join('\n')
}

/** What the yarn asks in a state. */
const promptOf = (wording: Wording, state: State, answers: Yarn['answers']): string => {
  if (state === 'welcome') return wording.steps.welcome.prompt
  if (isStep(state)) return wording.steps[state].prompt
  return state === 'summary' ? summaryText(wording, answers) : wording.yarn
}

const after: Readonly<Record<Step, State>> = {
  support_people: 'strengths',
  strengths: 'worries',
  worries: 'goals',
  goals: 'summary',
}

const answerStep = (wording: Wording, yarn: Yarn, step: Step, message: string): Turn => {
  const { clarify, acknowledge, none, moveOn } = wording.steps[step]
  const understood = understand(message)
  const attempts = yarn.attempts + 1
  if (understood === 'unclear' && attempts < maxAttempts) return { reply: clarify, state: step, attempts, understood }
  const text = understood === 'unclear' ? `${unclear}${message}` : message
  const state = after[step]
  const lead = { clear: acknowledge, none, unclear: moveOn }[understood]
  const next = promptOf(wording, state, { ...yarn.answers, [step]: text })
  const counted = understood === 'unclear' ? attempts : 0
  return { reply: `${lead} ${next}`, state, answer: { step, text }, attempts: counted, understood }
}

/** A yarn is paused while the last thing it said was the helplines, or whether to go on. */
const pauseOf = ({ risk }: Wording, lastReply: string | null): 'told' | 'asked' | null => {
  if (lastReply === null) return null
  if (lastReply === risk.ask) return 'asked'
  return [risk.high, risk.medium, risk.counsellor].some((lead) => lastReply.startsWith(`${lead}\n`)) ? 'told' : null
}

const goOn = (wording: Wording, yarn: Yarn, message: string, llmEnabled: boolean): Turn => {
  const { state } = yarn
  if (state === 'welcome') {
    const { prompt, notice = prompt } = wording.steps.welcome
    if (message.trim().length <= 3) return { reply: prompt, state }
    // Whoever begins by themselves has not been told yet what this is, and what it is not.
    const told = yarn.lastReply === null ? `${notice} ` : ''
    return { reply: `${told}${wording.steps.support_people.prompt}`, state: 'support_people' }
  }
  if (isStep(state)) return answerStep(wording, yarn, state, message)
  if (state === 'summary')
    return llmEnabled
      ? { reply: wording.yarn, state: 'llm_conversation', completes: true }
      : { reply: wording.closing, state, completes: true }
  return llmEnabled && state === 'llm_conversation'
    ? { reply: wording.closing, state, free: true }
    : { reply: wording.closing, state }
}

/** Risk comes first and moves nothing; then the pause it left behind; then the step. */
export const takeTurn = (
  wording: Wording,
  yarn: Yarn,
  message: string,
  { risk, llmEnabled }: { readonly risk: Risk | null; readonly llmEnabled: boolean },
): Turn => {
  const { state } = yarn
  if (risk) return { reply: riskReply(wording, risk), state }
  const pause = pauseOf(wording, yarn.lastReply)
  if (pause === 'told') return { reply: wording.risk.ask, state }
  if (pause === 'asked') {
    const wish = wishOf(message)
    if (wish === 'continue') return { reply: promptOf(wording, state, yarn.answers), state }
    return { reply: wish === 'counsellor' ? counsellorReply(wording) : wording.risk.ask, state }
  }
  if (yarn.completed && state !== 'llm_conversation') return { reply: wording.closing, state }
  return goOn(wording, yarn, message, llmEnabled)
}
