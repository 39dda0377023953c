/** Contenders one after the other, in rounds, so that a machine that is busy is busy for all of them. */

/** How one turn went. */
export interface Pace {
  readonly perSecond: number
  /** Of this process, user and system: what does not depend on who else runs. */
  readonly cpuUsPerCall: number
}

/** What the rounds gave, one value for each. */
export interface Paces {
  readonly perSecond: readonly number[]
  readonly cpuUsPerCall: readonly number[]
}

/** One that is measured. */
export type Turn = (round: number) => Promise<Pace>

export interface TurnsOptions {
  readonly rounds: number
  readonly signal: AbortSignal
}

/** Rounds before the first that counts: until then code is being compiled, and pages are being read. */
export const warmUps = 3

/** A turn for each contender in each round, in another order each time. */
export const takeTurns = async <Name extends string>(
  contenders: Readonly<Record<Name, Turn>>,
  { rounds, signal }: TurnsOptions,
): Promise<Readonly<Record<Name, Paces>>> => {
  const names = Object.keys(contenders) as Name[]
  const kept = Object.fromEntries(names.map((name) => [name, [] as Pace[]])) as Record<Name, Pace[]>
  for (let round = 0; round < warmUps + rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      signal.throwIfAborted()
      const name = names[(i + round) % names.length]!
      const pace = await contenders[name](round)
      if (round >= warmUps) kept[name].push(pace)
    }
  }
  const pacesOf = (name: Name): Paces => ({
    perSecond: kept[name].map(({ perSecond }) => perSecond),
    cpuUsPerCall: kept[name].map(({ cpuUsPerCall }) => cpuUsPerCall),
  })
  return Object.fromEntries(names.map((name) => [name, pacesOf(name)])) as Record<Name, Paces>
}

/** Sockets are heard in between. */
export const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Times what tells how many calls it made. */
const paceOf = async (work: (elapsedMs: () => number) => Promise<number>): Promise<Pace> => {
  const [startedAt, before] = [performance.now(), process.cpuUsage()]
  const elapsedMs = (): number => performance.now() - startedAt
  const calls = await work(elapsedMs)
  const { user, system } = process.cpuUsage(before)
  return { perSecond: (calls / elapsedMs()) * 1000, cpuUsPerCall: (user + system) / calls }
}

/** So many calls follow each other before the time is looked at, and sockets are heard: hits alone would keep the loop from both. */
const callsAtOnce = 2000

const again = (ms: number, work: (from: number) => unknown): Promise<Pace> =>
  paceOf(async (elapsedMs) => {
    let calls = 0
    for (; elapsedMs() < ms; calls += callsAtOnce) {
      await work(calls)
      await turnOfLoop()
    }
    return calls
  })

/** Calls each of which is awaited before the next, for about `ms`. */
export const paceAwaited = (ms: number, call: (n: number) => Promise<unknown>): Promise<Pace> =>
  again(ms, async (from) => {
    for (let n = from; n < from + callsAtOnce; n++) await call(n)
  })

/** The same for calls that answer at once; raises where one finds nothing. */
export const paceAtOnce = (ms: number, call: (n: number) => unknown): Promise<Pace> =>
  again(ms, (from) => {
    for (let n = from; n < from + callsAtOnce; n++) if (call(n) === undefined) throw new Error(`call ${n} found nothing`)
  })

/** Calls by so many callers, each of whom waits for its answer, for about `ms`. */
export const paceOfCallers = (ms: number, callers: number, call: (n: number) => Promise<unknown>): Promise<Pace> =>
  paceOf(async (elapsedMs) => {
    let calls = 0
    const caller = async (): Promise<void> => {
      while (elapsedMs() < ms) await call(calls++)
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return calls
  })

/** Calls for the numbers from `from` on, `count` of them, each once. */
export const paceOfEach = (
  { from, count, callers }: { readonly from: number; readonly count: number; readonly callers: number },
  call: (n: number) => Promise<unknown>,
): Promise<Pace> =>
  paceOf(async () => {
    let next = from
    const caller = async (): Promise<void> => {
      while (next < from + count) await call(next++)
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return count
  })
