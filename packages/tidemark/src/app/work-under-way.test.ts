import { describe, expect, it } from 'vitest'
import { createWorkUnderWay } from './work-under-way.js'

const held = () => {
  let resolve = (): void => undefined
  const promise = new Promise<void>((release) => {
    resolve = release
  })
  return { promise, resolve: () => resolve() }
}

describe('work under way', () => {
  it('is waited for, also what fails and what is begun meanwhile', async () => {
    const work = createWorkUnderWay()
    const ended: string[] = []
    const begin = async (name: string, after: Promise<unknown>): Promise<string> => {
      await after
      ended.push(name)
      return name
    }
    const [first, second] = [held(), held()]
    const begun = work.track(begin('first', first.promise))
    const failing = work.track(Promise.reject(new Error('no')))
    const all = work.ended().then(() => ended.push('all'))
    work.track(begin('second', second.promise))
    first.resolve()
    expect(await begun).toBe('first')
    await expect(failing).rejects.toThrow('no')
    second.resolve()
    await all
    expect(ended).toEqual(['first', 'second', 'all'])
  })

  it('is over at once where there is none', async () => {
    await createWorkUnderWay().ended()
  })
})
