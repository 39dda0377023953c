import { describe, expect, it } from 'vitest'
import { type Flight, Flights } from './flights.js'

const held = <T>() => {
  let release: (value: T) => void = () => {}
  let refuse: (error: unknown) => void = () => {}
  const promise = new Promise<T>((resolve, reject) => {
    release = resolve
    refuse = reject
  })
  return { promise, release, refuse }
}

const never = (): Promise<never> => Promise.reject(new Error('nothing was doubted'))

describe('flights', () => {
  it('are joined until they land', async () => {
    const flights = new Flights<number>()
    const first = held<number>()
    let loads = 0
    const load = () => {
      loads++
      return first.promise
    }
    const waiting = Array.from({ length: 100 }, () => flights.join('k', load, never))
    await Promise.resolve()
    first.release(1)
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => 1))
    expect([loads, flights.size]).toEqual([1, 0])
  })

  it('CACHE-3: a detached one is joined by nobody who comes later, and answers those who came before', async () => {
    const flights = new Flights<string>()
    const [old, young] = [held<string>(), held<string>()]
    let detached: Flight<string> | undefined
    const load = (flight: Flight<string>) => {
      detached = flight
      return old.promise
    }
    const before = flights.join('k', load, never)
    await Promise.resolve()
    flights.detach('k')
    const after = flights.join('k', () => young.promise, never)
    young.release('new')
    expect(await after).toBe('new')
    old.release('old')
    expect(await before).toBe('old')
    expect([detached?.isDetached, flights.size]).toEqual([true, 0])
  })

  it.each([
    ['is sure', true, 'old'],
    ['is not sure', false, 'new'],
  ])(
    'CACHE-3: a doubted one that %s answers those who came before, and later ones with what is sure',
    async (_what, isSure, later) => {
      const flights = new Flights<string>()
      const old = held<string>()
      const load = (flight: Flight<string>) => {
        flight.isSure = () => isSure
        return old.promise
      }
      const again = () => flights.join('k', async () => 'new', never)
      const before = flights.join('k', load, never)
      await Promise.resolve()
      flights.doubt()
      const after = [1, 2].map(() => flights.join('k', load, again))
      old.release('old')
      expect([await before, ...(await Promise.all(after))]).toEqual(['old', later, later])
    },
  )

  it('CACHE-3: a doubted one is of no use to who came later where it was detached, or cannot tell', async () => {
    const flights = new Flights<string>()
    const [sure, silent] = [held<string>(), held<string>()]
    const again = async () => 'new'
    const load = (flight: Flight<string>) => {
      flight.isSure = () => true
      return sure.promise
    }
    void flights.join('sure', load, never)
    void flights.join('silent', () => silent.promise, never)
    await Promise.resolve()
    flights.doubt()
    const later = [flights.join('sure', load, again), flights.join('silent', () => silent.promise, again)]
    flights.detachAll()
    sure.release('old')
    silent.release('old')
    expect(await Promise.all(later)).toEqual(['new', 'new'])
  })

  it('CACHE-3: where changes are not heard of, nobody joins what began before', async () => {
    const flights = new Flights<number>()
    const loads: ReturnType<typeof held<number>>[] = []
    const load = () => {
      const one = held<number>()
      loads.push(one)
      return one.promise
    }
    const first = flights.after('k', load)
    const later = [flights.after('k', load), flights.after('k', load)]
    expect(loads).toHaveLength(1)
    loads[0]!.release(1)
    expect(await first).toBe(1)
    await new Promise(setImmediate)
    expect(loads).toHaveLength(2)
    const last = flights.after('k', load)
    loads[1]!.release(2)
    expect(await Promise.all(later)).toEqual([2, 2])
    await new Promise(setImmediate)
    expect(loads).toHaveLength(3)
    loads[2]!.release(3)
    expect(await last).toBe(3)
    await new Promise(setImmediate)
    const alone = flights.after('k', load)
    expect(loads).toHaveLength(4)
    loads[3]!.release(4)
    expect(await alone).toBe(4)
  })

  it('that fail leave nothing behind', async () => {
    const flights = new Flights<number>()
    await expect(flights.join('k', async () => Promise.reject(new Error('no')), never)).rejects.toThrow('no')
    await expect(flights.after('k', async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await new Promise(setImmediate)
    expect(await flights.join('k', async () => 1, never)).toBe(1)
    expect(await flights.after('k', async () => 2)).toBe(2)
  })
})
