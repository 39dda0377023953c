import { describe, expect, test } from 'vitest'
import { type LiveEvent, type LiveState, transitions } from './states.js'

const states = Object.keys(transitions) as LiveState[]
const walk = (from: LiveState, ...events: readonly LiveEvent[]) =>
  events.reduce((state: LiveState, event) => transitions[state][event].to, from)

describe('the states of a live query', () => {
  test('from every state everything that comes back leads to live', () => {
    for (const state of states) expect([state, walk(state, 'networkUp', 'joined', 'caughtUp')]).toEqual([state, 'live'])
  })

  test('only what was told that everything is there is live', () => {
    for (const state of states)
      for (const [event, { to }] of Object.entries(transitions[state]))
        if (to === 'live') expect(state === 'live' || event === 'caughtUp').toBe(true)
  })

  test('who has lost the channel and has waited polls, and is offline where nobody answers that either', () => {
    expect(walk('live', 'lost', 'waited')).toBe('polling')
    expect(walk('live', 'lost', 'waited', 'loadFailed')).toBe('offline')
    expect(walk('live', 'lost', 'waited', 'loadFailed', 'loaded')).toBe('polling')
  })

  test('whoever polls or is offline because nobody answers tries again', () => {
    for (const state of ['polling', 'offline'] as const)
      for (const event of ['loaded', 'loadFailed', 'loadRefused'] as const)
        expect(transitions[state][event].effects).toContain('poll')
  })

  test('a gap is read again wherever changes are told', () => {
    for (const state of ['live', 'catching-up'] as const) expect(transitions[state].gap.effects).toContain('load')
  })
})
