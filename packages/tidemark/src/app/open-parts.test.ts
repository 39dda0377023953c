import { describe, expect, it } from 'vitest'
import { openParts } from './open-parts.js'

describe('the parts of an application', () => {
  it('stop once, in the opposite order, each after the one before it', async () => {
    const ended: string[] = []
    const parts = await openParts(async (onStop) => {
      onStop(() => ended.push('pool'))
      onStop(async () => {
        await Promise.resolve()
        ended.push('server')
      })
      return { port: 1 }
    })
    expect(parts.port).toBe(1)
    await Promise.all([parts.stop(), parts.stop()])
    expect(ended).toEqual(['server', 'pool'])
  })

  it('stop all of them where one fails, and tell of it', async () => {
    const ended: string[] = []
    const parts = await openParts(async (onStop) => {
      onStop(() => ended.push('pool'))
      onStop(() => {
        throw new Error('stuck')
      })
      return {}
    })
    await expect(parts.stop()).rejects.toThrow('stuck')
    expect(ended).toEqual(['pool'])
  })

  it('are all closed again where one does not open', async () => {
    const ended: string[] = []
    const opening = openParts(async (onStop) => {
      onStop(() => ended.push('pool'))
      onStop(() => Promise.reject(new Error('and this as well')))
      throw new Error('no cache')
    })
    await expect(opening).rejects.toThrow('no cache')
    expect(ended).toEqual(['pool'])
  })
})
