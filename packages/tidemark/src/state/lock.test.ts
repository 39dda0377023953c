import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../time/clock.js'
import { withLock } from './lock.js'
import { ownIdentity } from './process-identity.js'

/** How long each look at a process takes; the real ones are too quick for a slow contender to meet a fast one. */
let lookMs = () => 0
vi.mock('./process-identity.js', async (importOriginal) => {
  const original = await importOriginal<typeof import('./process-identity.js')>()
  const isAlive: typeof original.isAlive = async (identity) => {
    await systemClock.sleep(lookMs())
    return original.isAlive(identity)
  }
  return { ...original, isAlive }
})
afterEach(() => {
  lookMs = () => 0
})

let dir: string
let path: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark-lock-'))
  path = join(dir, 'a.lock')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const locked = <T>(fn: () => Promise<T>, options: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  withLock(path, fn, { timeoutMs: 5_000, clock: systemClock, ...options })

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Runs many at once; gives the highest number that were ever inside together. */
const crowd = async (count: number, stayMs = 0): Promise<number> => {
  let inside = 0
  let most = 0
  await Promise.all(
    Array.from({ length: count }, () =>
      locked(async () => {
        inside += 1
        most = Math.max(most, inside)
        await turn()
        await systemClock.sleep(stayMs)
        inside -= 1
      }),
    ),
  )
  return most
}

const deadHolder = async () => {
  const { start } = await ownIdentity()
  return JSON.stringify({ pid: process.pid, start: `${start}9`, token: String(Math.random()) })
}

describe('a lock', () => {
  it('lets one in at a time and gives the answer of each', async () => {
    expect(await crowd(8)).toBe(1)
    expect(await locked(async () => 42)).toBe(42)
    expect(await readdir(dir)).toEqual([])
  })

  it('is free again when what ran under it failed', async () => {
    await expect(locked(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await locked(async () => 1)).toBe(1)
  })

  it('is taken over from a dead process by exactly one of those who wait', async () => {
    for (let round = 0; round < 15; round++) {
      await writeFile(path, await deadHolder())
      expect(await crowd(6)).toBe(1)
      expect(await readdir(dir)).toEqual([])
    }
  })

  it('is not taken from its new holder by one who saw the dead one and was slow', async () => {
    let looks = 0
    // Every other contender still looks at the dead holder when the first one is already in.
    lookMs = () => (looks++ % 2 === 0 ? 0 : 15)
    for (let round = 0; round < 10; round++) {
      await writeFile(path, await deadHolder())
      expect(await crowd(4, 20)).toBe(1)
    }
  })

  it('is taken over also where one died in the middle of taking it over', async () => {
    const { createHash } = await import('node:crypto')
    const content = await deadHolder()
    await writeFile(path, content)
    const right = `${path}.${createHash('sha256').update(content).digest('hex').slice(0, 16)}`
    await writeFile(right, await deadHolder())
    expect(await crowd(5)).toBe(1)
    expect(await readdir(dir)).toEqual([])
  })

  it('is not waited for longer than asked, and the error names who holds it', async () => {
    await locked(async () => {
      await expect(locked(async () => undefined, { timeoutMs: 50 })).rejects.toMatchObject({
        code: 'TM_STATE_LOCKED',
        parameters: { path, pid: process.pid, timeoutMs: 50 },
      })
    })
  })

  it('is not waited for after an abort', async () => {
    await locked(async () => {
      await expect(locked(async () => undefined, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
    })
  })

  it('counts a file that cannot be read as held while it is young, and as left behind later', async () => {
    await writeFile(path, '{"pid":')
    await expect(locked(async () => 1, { timeoutMs: 60 })).rejects.toMatchObject({ code: 'TM_STATE_LOCKED' })
    await utimes(path, 1, 1)
    expect(await locked(async () => 1)).toBe(1)
  })
})
