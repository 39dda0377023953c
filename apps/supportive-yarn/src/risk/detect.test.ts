import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { detectRisk, isOneOff } from './detect.js'
import { misspellings, phrases } from './phrases.js'

const harmless = [
  "I'm feeling happy today",
  'I love my family',
  'School is going well',
  "I'm excited about the future",
  'Things are getting better',
  "I'm looking forward to tomorrow",
  "I'm proud of myself",
  'I have a plan to finish school',
  'I play car games',
  'my nan and my cousin',
  'we catch the train on the weekend',
  'sorry I was late',
  'they help homeless people',
  'I was filling in for my brother',
  'dad is putting up the tent by myself and him',
  "I'm ready for the weekend",
  'I feel alone sometimes',
  'stuck in traffic again',
  'give peace a chance',
  'sorry, I missed the train',
  'my car is stuck, no plan b',
  'tired of learning maths',
  "I'm never loving maths",
  'we live on the edge of town',
  'I want to dye my hair',
  'my team got killed on saturday',
  'proud of myself and off to bed',
  'i d like a b and c',
  'wow!!! *hugs* my b*g brother',
  'hanging out with my cuz',
  'we jump off the jetty',
  'I made it all by myself',
]

const grave = [
  'i cant go on, wanna die',
  "I can't go on",
  'I CAN\u2019T GO ON!!!',
  'sometimes i think about suicde',
  'sucide',
  'suiside',
  "I don't want to kill myself",
  'i want to just die',
  'kill my self',
  'I wanna dieeee',
  'i feel like ending my life',
  "don't want to be here any more",
  'been cutting myself again',
  'self-harm',
  'gonna top myself',
  'im so tired of living',
  "I don't wanna wake up tomorrow",
  'whats the point, no point in living',
  'I can\u00b4t go on',
  'I can\u2032t go on',
  'i can t go on',
  'sui\u00adcide',
  'su\u200bicide',
  'kill\u200bmyself',
  'wanna killll myself',
  'kill my selfff',
  'i wanna diee',
  'endddd it alllll',
  'i want 2 die',
  'k.m.s',
  'i k m s',
  's u i c i d e',
  'k*ll myself',
  'su!cide',
  '$uicide',
  'k\u0131ll myself',
  '#wannadie',
  'killmyself',
  'self harming',
  'tried hanging myself',
  'i nearly killed myself',
  'gonna shoot myself',
  'drown myself',
  'jump off the bridge',
  'cut my wrist',
  'i want to be dead',
  'i wish i wasn\u2019t alive',
  'tired of being alive',
  "life isn't worth living",
]

describe('risk', () => {
  it.each(harmless)('S3.4: does not fire for "%s"', (message) => {
    expect(detectRisk(message)).toBeNull()
  })

  it.each(grave)('S3.4: is high for "%s"', (message) => {
    expect(detectRisk(message)).toMatchObject({ severity: 'high' })
  })

  it.each(['i feel worthles', 'no one cares', "I can't cope", 'everything is hopless', 'i want to disappear'])(
    'is medium for "%s"',
    (message) => {
      expect(detectRisk(message)).toMatchObject({ severity: 'medium' })
    },
  )

  it.each(phrases.map(({ text, severity }) => [text, severity] as const))('fires for "%s" (%s)', (text, severity) => {
    expect(detectRisk(`well, ${text}.`)).toMatchObject({ severity })
  })

  it.each(Object.entries(misspellings))('reads %s as %s in every phrase', (written, meant) => {
    const holding = phrases.filter(({ words }) => words.includes(meant))
    for (const { words } of holding) {
      expect(detectRisk(words.map((word) => (word === meant ? written : word)).join(' '))).not.toBeNull()
    }
  })

  it('fires for every phrase whatever stands around it, in any case and with any apostrophe', () => {
    const words = fc.stringMatching(/^[a-z ,.!?]{0,40}$/)
    fc.assert(
      fc.property(fc.constantFrom(...phrases), words, words, fc.boolean(), ({ text }, before, after, loud) => {
        const message = `${before} ${loud ? text.toUpperCase() : text} ${after}`
        expect(detectRisk(message)).not.toBeNull()
      }),
    )
  })

  it.each([
    ['a letter drawn out', (word: string) => `${word.slice(0, -1)}${word.at(-1)!.repeat(4)}`],
    ['what is drawn as nothing', (word: string) => `${word.slice(0, 1)}\u200d${word.slice(1)}`],
    ['a point between letters', (word: string) => [...word].join('.')],
  ])('fires for every phrase with %s in a word', (_what, written) => {
    const missed = phrases.flatMap(({ words }) =>
      words.flatMap((word, at) => {
        const message = words.with(at, word.length > 2 ? written(word) : word).join(' ')
        return detectRisk(message) === null ? [message] : []
      }),
    )
    expect(missed).toEqual([])
  })

  it('tells words one letter apart', () => {
    expect(isOneOff('suicide', 'suicde')).toBe(true)
    expect(isOneOff('suicide', 'sucide')).toBe(true)
    expect(isOneOff('myself', 'myslef')).toBe(true)
    expect(isOneOff('overdose', 'overdone')).toBe(true)
    expect(isOneOff('suicide', 'decide')).toBe(false)
  })
})
