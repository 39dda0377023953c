import { describe, expect, it } from 'vitest'
import { createRandom } from '../../../packages/tidemark/src/testing/random.js'
import { makeHouse } from './make-leads.js'
import { wishOf } from './repository/events.js'
import { approvalMoves, goesBack, leadMoves, mayGo, statesOf } from './states.js'

const untilMs = Date.UTC(2026, 10, 22)

describe('the house that is made up', () => {
  it('is the same for the same seed, another for another, and flawed', () => {
    const make = (seed: number) => makeHouse(createRandom(seed), { agents: 12, leads: 300, untilMs })
    const [one, again, other] = [make(1), make(1), make(2)]
    expect(JSON.stringify(one)).toBe(JSON.stringify(again))
    expect(JSON.stringify(one)).not.toBe(JSON.stringify(other))
    for (const count of Object.values(one.flaws)) expect(count).toBeGreaterThan(0)
    expect(new Set(one.leads.map(({ province }) => province)).size).toBe(5)
  })
})

describe('what people say', () => {
  it('S2.5: is a wish where it is nothing but that word', () => {
    for (const text of ['STOP', ' stop. ', 'Stop!', 'UNSUBSCRIBE', 'opt-out', 'ARRÊT', 'arret', 'STOPALL', 'quit', 'ARRE\u0302T'])
      expect([text, wishOf(text)]).toEqual([text, 'stop'])
    // As mail programs send it.
    for (const text of [
      'Stop\n\nSent from my phone',
      'STOP.\r\n> Hi Ana,\r\n> a new listing',
      'unsubscribe\nOn Mon, Ben wrote:\n> Hi',
    ])
      expect([text, wishOf(text)]).toEqual([text, 'stop'])
    for (const text of ['Stop by\n\non Monday', 'Hi,\n\nstop']) expect([text, wishOf(text)]).toEqual([text, null])
    for (const text of ['start', 'UNSTOP', 'resubscribe ']) expect([text, wishOf(text)]).toEqual([text, 'start'])
    for (const text of ['Please do not stop looking', 'The bus stop is near', 'Can we start at ten?', '', '🙂', 'The end of May'])
      expect([text, wishOf(text)]).toEqual([text, null])
  })
})

describe('states', () => {
  it('follow each other, and those that are final are', () => {
    for (const status of statesOf(leadMoves)) expect(mayGo(leadMoves, status, status)).toBe(false)
    for (const status of ['rejected', 'sent', 'cancelled', 'expired'] as const) expect(approvalMoves[status]).toEqual([])
    expect(mayGo(approvalMoves, 'draft', 'approved')).toBe(false)
    expect([goesBack('qualified', 'contacted'), goesBack('lost', 'nurturing'), goesBack('nurturing', 'lost')]).toEqual([
      true,
      true,
      false,
    ])
  })
})
