import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../errors.js'
import { Gathered } from './gathered.js'

const gather = (departure: 'tick' | 'turn', answer: (question: number) => string | Error = String) => {
  const sent: (readonly number[])[] = []
  const gathered = new Gathered<number, string>(async (questions) => {
    sent.push(questions)
    return questions.map(answer)
  }, departure)
  return { gathered, sent }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('what is gathered', () => {
  it.each(['tick', 'turn'] as const)(
    'leaves together after a %s, and everybody gets the answer to their own',
    async (departure) => {
      const { gathered, sent } = gather(departure)
      expect(await Promise.all([gathered.ask(1), Promise.resolve().then(() => gathered.ask(2)), gathered.ask(3)])).toEqual([
        '1',
        '2',
        '3',
      ])
      expect(sent.map((questions) => questions.length)).toEqual([3])
      expect(await gathered.ask(4)).toBe('4')
      expect(sent.length).toBe(2)
    },
  )

  it('leaves at the end of the turn where nobody waits for it', async () => {
    const { gathered, sent } = gather('turn')
    const asked = [gathered.ask(1)]
    process.nextTick(() => asked.push(gathered.ask(2)))
    await turn()
    await Promise.all(asked)
    expect(sent).toEqual([[1, 2]])
  })

  it('fails one by one where the answers do, and all at once, each with an error of its own, where the way there does', async () => {
    const { gathered } = gather('tick', (question) => (question === 2 ? new Error('two') : 'fine'))
    const outcomes = await Promise.allSettled([1, 2, 3].map((question) => gathered.ask(question)))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    const lost = new Gathered<number, string>(async () => {
      throw new TidemarkError('TM_REDIS_UNREACHABLE', { target: 'here', reason: 'gone' })
    }, 'tick')
    const [first, second] = await Promise.allSettled([lost.ask(1), lost.ask(2)])
    expect([first, second]).toMatchObject([
      { reason: { code: 'TM_REDIS_UNREACHABLE' } },
      { reason: { code: 'TM_REDIS_UNREACHABLE' } },
    ])
    expect((first as PromiseRejectedResult).reason).not.toBe((second as PromiseRejectedResult).reason)
  })
})
