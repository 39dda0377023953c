/** One made-up yarn, told by the app's own rules, with words as young people in Australia and Canada write them. */
import type { Random } from 'tidemark/testing'
import type { State, Step } from './conversation/states.js'
import { type Turn, takeTurn, type Yarn } from './conversation/take-turn.js'
import { detectRisk, type Risk } from './risk/detect.js'
import type { Wording } from './wording.js'

const greetings = ['hey there', 'hello', 'hiya 👋', 'g’day', 'tansi', 'hey its me again']
const people = [
  'my nan and my cousin',
  'auntie in Katherine',
  'my kokum in Thunder Bay',
  'mum n my footy coach',
  'my big brother',
  'nobody',
]
const strengths = [
  'footy and drawing',
  'being out on country',
  'lacrosse',
  'beading with my auntie',
  'music 🎸',
  'I look after my little sister',
]
const worries = [
  'school is hard',
  'we moved from Broome to Perth',
  'money at home',
  'nothing',
  'the winter in Whitehorse is long',
  'fighting at home',
]
const goals = [
  'finish year 10',
  'get my L plates',
  'graduate in June',
  'see my family in Cairns',
  'sleep before midnight',
  'make the team',
]
const unclear = ['idk', 'dunno', 'hmm', 'whatever']
const risky = ['i cant go on, wanna die', 'I feel hopeless', 'no one cares']
const answers = [greetings, people, strengths, worries, goals, ['sounds right', 'yep', 'thanks']] as const

export interface Said {
  readonly message: string
  readonly risk: Risk | null
  readonly before: State
  readonly turn: Turn
}

export interface MadeYarn {
  readonly said: readonly Said[]
  readonly state: State
  readonly completed: boolean
  readonly answers: Yarn['answers']
}

/** Goes on as far as chance has it; unclear answers and what is risky come in between. */
export const makeYarn = (random: Random, wording: Wording): MadeYarn => {
  let yarn: Yarn = { state: 'welcome', completed: false, attempts: 0, answers: {}, lastReply: null }
  const said: Said[] = []
  const say = (message: string): void => {
    const risk = detectRisk(message)
    const turn = takeTurn(wording, yarn, message, { risk, llmEnabled: false })
    said.push({ message, risk, before: yarn.state, turn })
    yarn = {
      state: turn.state,
      completed: yarn.completed || turn.completes === true,
      attempts: turn.state === yarn.state ? (turn.attempts ?? yarn.attempts) : 0,
      answers: turn.answer ? { ...yarn.answers, [turn.answer.step satisfies Step]: turn.answer.text } : yarn.answers,
      lastReply: turn.reply,
    }
  }
  const length = random.integer(1, answers.length)
  for (const words of answers.slice(0, length)) {
    if (said.length > 0 && random.chance(0.15)) say(random.pick(unclear))
    if (said.length > 0 && random.chance(0.05)) for (const message of [random.pick(risky), 'it rains', 'yes']) say(message)
    say(random.pick(words))
  }
  return { said, state: yarn.state, completed: yarn.completed, answers: yarn.answers }
}
