import { describe, expect, it } from 'vitest'
import { detectRisk } from '../risk/detect.js'
import { readWording } from '../wording.js'
import { nextOf } from './states.js'
import { type Turn, takeTurn, type Yarn } from './take-turn.js'

const wording = readWording()
const fresh: Yarn = { state: 'welcome', completed: false, attempts: 0, answers: {}, lastReply: null }

/** Goes through a conversation as the store would remember it. */
const converse = (messages: readonly string[], llmEnabled = false): { yarn: Yarn; turns: readonly Turn[] } => {
  let yarn = fresh
  const turns: Turn[] = []
  for (const message of messages) {
    const turn = takeTurn(wording, yarn, message, { risk: detectRisk(message), llmEnabled })
    turns.push(turn)
    const moved = turn.state !== yarn.state
    yarn = {
      state: turn.state,
      completed: yarn.completed || turn.completes === true,
      attempts: moved ? 0 : (turn.attempts ?? yarn.attempts),
      answers: turn.answer ? { ...yarn.answers, [turn.answer.step]: turn.answer.text } : yarn.answers,
      lastReply: turn.reply,
    }
  }
  return { yarn, turns }
}

describe('a yarn', () => {
  it('goes through the four steps to the summary', () => {
    const { yarn, turns } = converse(['hey there', 'my nan and my cousin', 'footy and drawing', 'idk', 'dunno', 'finish year 10'])
    expect(turns.map(({ state }) => state)).toEqual(['support_people', 'strengths', 'worries', 'worries', 'goals', 'summary'])
    expect(yarn.answers).toEqual({
      support_people: 'my nan and my cousin',
      strengths: 'footy and drawing',
      worries: 'Unclear: dunno',
      goals: 'finish year 10',
    })
    // In their own words, without what marks an answer as unclear.
    for (const answer of ['my nan and my cousin', 'footy and drawing', ': dunno', 'finish year 10'])
      expect(turns.at(-1)!.reply).toContain(answer)
    expect(turns.at(-1)!.reply).not.toContain('Unclear')
  })

  it('says what it is, and what it is not, before it asks anything', () => {
    const { notice } = wording.steps.welcome
    const ask = wording.steps.support_people.prompt
    expect(converse(['hey there']).turns[0]!.reply).toBe(`${notice} ${ask}`)
    expect(converse(['hi', 'okay then']).turns.map(({ reply }) => reply)).toEqual([wording.steps.welcome.prompt, ask])
    expect(notice).toContain('no crisis service')
  })

  it('repeats the greeting until it is answered', () => {
    expect(converse(['hi']).turns[0]).toEqual({ reply: wording.steps.welcome.prompt, state: 'welcome' })
  })

  it.each([
    ['no one', 'support_people'],
    ['nothing really', 'strengths'],
    ['no worries', 'worries'],
  ] as const)('has a reply of its own for "%s"', (message, state) => {
    const turn = takeTurn(wording, { ...fresh, state }, message, { risk: null, llmEnabled: false })
    expect(turn.reply.startsWith(wording.steps[state].none)).toBe(true)
    expect(turn.answer).toEqual({ step: state, text: message })
  })

  it('stays where it is when a risk is answered, asks, and goes on where it was', () => {
    const { turns } = converse(['hey there', 'i cant go on, wanna die', 'it is raining', 'yes', 'my nan'])
    expect(turns.map(({ state }) => state)).toEqual([
      'support_people',
      'support_people',
      'support_people',
      'support_people',
      'strengths',
    ])
    for (const { name, number } of wording.helplines) expect(turns[1]!.reply).toContain(`${name} ${number}`)
    expect(turns[2]!.reply).toBe(wording.risk.ask)
    expect(turns[3]!.reply).toBe(wording.steps.support_people.prompt)
  })

  it('gives the numbers to someone who would rather speak with a person', () => {
    const { turns } = converse(['hey there', 'no one cares', 'hm', 'a counsellor'])
    expect(turns[3]!.reply.startsWith(wording.risk.counsellor)).toBe(true)
  })

  it.each([
    ...[
      'yes',
      'ok',
      'yes please',
      'continue',
      'i want to continue',
      "let's continue",
      'can we keep going',
      'nah lets keep going',
    ],
    'continue, no counsellor',
  ])('goes on where it was after "%s"', (message) => {
    const { turns } = converse(['hey there', 'no one cares', 'hm', message])
    expect(turns[3]!.reply).toBe(wording.steps.support_people.prompt)
  })

  it.each([
    ...['yes, speak with a counsellor', 'ok i want to talk to someone', 'please help', 'yeah a counsellor', 'ok help me'],
    ...['yes but i need help', 'no', 'is there a number'],
  ])('gives the numbers after "%s", a yes notwithstanding', (message) => {
    const { turns } = converse(['hey there', 'no one cares', 'hm', message])
    expect(turns[3]!.reply.startsWith(wording.risk.counsellor)).toBe(true)
  })

  it('ends after the summary, or goes on freely where a model answers', () => {
    const all = ['hey there', 'my nan', 'footy', 'school', 'finish year 10', 'sounds right']
    expect(converse(all).turns.at(-1)).toEqual({ reply: wording.closing, state: 'summary', completes: true })
    expect(converse([...all, 'are you there']).turns.at(-1)).toEqual({ reply: wording.closing, state: 'summary' })
    expect(converse(all, true).turns.at(-1)).toMatchObject({ state: 'llm_conversation', completes: true })
  })

  it('C50: moves only along its table', () => {
    for (const from of Object.keys(nextOf) as (keyof typeof nextOf)[]) {
      for (const message of ['hey there', 'idk', 'no one', 'suicide', 'yes']) {
        const { state } = takeTurn(wording, { ...fresh, state: from }, message, { risk: detectRisk(message), llmEnabled: true })
        expect([from, ...nextOf[from]]).toContain(state)
      }
    }
  })
})
