/**
 * Realtime under fire: an oracle table is written at an even pace, and clients listen that are cut off all the time, in order and in the middle of
 * a frame, while servers, Postgres and Redis fail: `npm run chaos:realtime -- --reconnects 1000 --faults 100 --seed 1`. Half of the clients are
 * supabase-js as it is, for which the server remembers where they were: they may be told again what they had not acknowledged, or only to a server
 * that was killed in the seconds after. The others name their position, and may be told nothing twice. Ends with a verdict; the exit status is 0 only if nothing was lost without being announced,
 * nothing came out of order, and everybody came to the end.
 */
import { mkdtemp } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { count, interruptible, main, parseOptions, UsageError } from '../options.ts'
import { between, type Dice, diceOf } from './random.ts'
import type { ChaosClient } from './realtime/clients.ts'
import { type Fault, faults } from './realtime/faults.ts'
import { Storm } from './realtime/storm.ts'

const tell = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)

const usage = `npm run chaos:realtime -- [options]
  --reconnects <n>   goes on until clients have come again so often (default 1000)
  --faults <n>       and so many faults have struck (default 100)
  --only <a,b,…>     faults, of ${faults.map(({ name }) => name).join(', ')} (default: all)
  --rate <n>         changes a second (default 500)
  --clients <n>      of each of the two kinds (default 4)
  --nodes <n>        servers (default 2)
  --young            supabase-js is struck before it has sent enough messages for another server to know that it is not new
  --minutes <n>      at most (default 60)
  --seed <n>         what the dice begin with (default 1)`

const chosenFaults = (given: unknown): readonly Fault[] => {
  const names = given === undefined ? faults.map(({ name }) => name) : String(given).split(',')
  const unknown = names.filter((name) => !faults.some((fault) => fault.name === name))
  if (unknown.length > 0) throw new UsageError(`no fault is named ${unknown.join(', ')}\n\n${usage}`)
  return faults.filter(({ name }) => names.includes(name))
}

const nextFault = (chosen: readonly Fault[], dice: Dice): Fault => {
  let left = dice() * chosen.reduce((sum, { weight }) => sum + weight, 0)
  for (const fault of chosen) {
    left -= fault.weight
    if (left < 0) return fault
  }
  return chosen[0]!
}

const cuts = ['leave', 'reset', 'in-frame'] as const
type Cut = (typeof cuts)[number]

const cutOff = (client: ChaosClient, cut: Cut): void => {
  if (cut === 'leave') client.leave()
  else if (cut === 'reset') client.wire.reset()
  else client.wire.cutInFrame()
}

/** Each client by its own clock, and never before it listens again: what is cut is to be a stream. */
const cutAgainAndAgain = async (
  client: ChaosClient,
  dice: Dice,
  made: Record<Cut, number>,
  signal: AbortSignal,
): Promise<void> => {
  const nap = (ms: number) => pause(ms, undefined, { signal }).catch(() => undefined)
  while (!signal.aborted) {
    await nap(between(dice, 200, 2_000))
    if (signal.aborted) return
    const before = client.joins()
    const cut = cuts[between(dice, 0, cuts.length - 1)]!
    cutOff(client, cut)
    made[cut]++
    while (!signal.aborted && client.joins() === before) await nap(50)
  }
}

const reconnectsOf = (storm: Storm): number => storm.clients.reduce((sum, client) => sum + client.joins() - 1, 0)

const wrongOf = (storm: Storm): readonly string[] => [
  ...storm.failures,
  ...storm.clients.flatMap(({ ledger }) => ledger.tallies.wrong),
]

const settleTimeoutMs = 90_000

/** After the last write everybody comes to the end, or was told that it misses something. */
const settle = async (storm: Storm): Promise<readonly string[]> => {
  await storm.ready()
  const last = await storm.endWriting()
  const isThere = ({ ledger }: ChaosClient): boolean => ledger.highest === last || ledger.isExcused
  try {
    await until(() => storm.clients.every(isThere), { timeoutMs: settleTimeoutMs, what: 'The last change at every client' })
    return []
  } catch {
    return storm.clients
      .filter((client) => !isThere(client))
      .map(({ ledger }) => `${ledger.name}: it was told up to ${ledger.highest}, and ${last} is the last`)
  }
}

const summaryOf = (storm: Storm): string => {
  const all = storm.clients.map(({ ledger }) => ledger.tallies)
  const sum = (name: 'told' | 'again' | 'gaps'): number => all.reduce((total, each) => total + each[name], 0)
  return `${storm.written} changes, ${sum('told')} told, ${sum('again')} of them again after a reconnect, ${sum('gaps')} gaps announced, ${reconnectsOf(storm)} reconnects`
}

interface Wanted {
  readonly reconnects: number
  readonly strikes: number
  readonly minutes: number
  readonly chosen: readonly Fault[]
}

const rage = async (storm: Storm, { reconnects, strikes, minutes, chosen }: Wanted): Promise<string> => {
  const { dice } = storm.options
  const endsAt = Date.now() + minutes * 60_000
  const made: Record<Cut, number> = { leave: 0, reset: 0, 'in-frame': 0 }
  const struck = new Map<string, number>()
  const end = new AbortController()
  const cutting = storm.clients.map((client) => cutAgainAndAgain(client, dice, made, end.signal))
  try {
    let done = 0
    let toldAt = Date.now()
    while ((done < strikes || reconnectsOf(storm) < reconnects) && Date.now() < endsAt && wrongOf(storm).length === 0) {
      await pause(between(dice, 300, 2_500))
      if (done < strikes) {
        const fault = nextFault(chosen, dice)
        tell(fault.name)
        await fault.strike(storm)
        done++
        struck.set(fault.name, (struck.get(fault.name) ?? 0) + 1)
        // A server that is still coming up is struck now and then as well.
        if (dice() < 0.8) await storm.ready()
      }
      if (Date.now() - toldAt > 15_000) {
        toldAt = Date.now()
        tell(`${done} faults, ${summaryOf(storm)}`)
      }
    }
    if (done < strikes || reconnectsOf(storm) < reconnects)
      storm.failures.push(`${done} faults and ${reconnectsOf(storm)} reconnects are fewer than were asked for`)
  } finally {
    end.abort()
    await Promise.all(cutting)
  }
  return [...Object.entries(made), ...struck].map(([name, times]) => `${name} ${times}`).join(', ')
}

await main(async (signal) => {
  const option = { type: 'string' } as const
  const presets = { reconnects: 1000, faults: 100, rate: 500, clients: 4, nodes: 2, minutes: 60, seed: 1 }
  const values = parseOptions(usage, {
    ...Object.fromEntries(Object.keys(presets).map((name) => [name, option])),
    only: option,
    young: { type: 'boolean' },
  })
  const number = (name: keyof typeof presets, min = 1): number =>
    count(name, values[name], { default: presets[name], min, max: 1_000_000 })
  const wanted = {
    reconnects: number('reconnects', 0),
    strikes: number('faults', 0),
    minutes: number('minutes'),
    chosen: chosenFaults(values['only']),
  }
  const seed = number('seed', 0)
  const [nodes, clients, rate] = [number('nodes'), number('clients'), number('rate')]
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-chaos-realtime-'))
  const storm = await Storm.open({ dir, nodes, clients, rate, young: values['young'] === true, dice: diceOf(seed), tell })
  let struck = ''
  const found: string[] = []
  try {
    await interruptible(signal, storm.start())
    storm.write()
    struck = await interruptible(signal, rage(storm, wanted))
    found.push(...(await settle(storm)))
  } catch (error) {
    found.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    found.unshift(...wrongOf(storm))
    tell(summaryOf(storm))
    for (const { ledger } of storm.clients) {
      const { told, again, gaps } = ledger.tallies
      tell(`  ${ledger.name}: ${told} told, ${again} again, ${gaps} gaps`)
      for (const gap of ledger.tallies.announced) tell(`    ${gap}`)
    }
    tell(struck)
    await storm.stop()
  }
  for (const failure of found) console.log(failure)
  const load = `load ${loadavg()[0]!.toFixed(1)} on ${cpus().length} processors`
  console.log(
    `${found.length === 0 ? 'PASSED' : 'FAILED'}: ${summaryOf(storm)}, ${storm.restarts} servers ended by themselves, seed ${seed}, ${load}`,
  )
  return found.length === 0
})
