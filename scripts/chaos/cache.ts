/**
 * The cache under fire: processes that read hot keys and write them, a writer beside them that knows nothing of the cache, and faults:
 * `npm run chaos:cache -- --minutes 10 --seed 1 --faults calm,cut,redis-old`. Each answer is compared with what was acknowledged when the read
 * began. Ends with a verdict; the exit status is 0 only if no read of a linearizable entry and none with a token was stale, nothing older than
 * the bound was answered, nothing failed that may not, and nothing was stuck one second after the last write.
 * @holds R135, C36
 */
import { mkdtemp } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { count, interruptible, main, parseOptions, UsageError } from '../options.ts'
import { type Fault, faults } from './cache/faults.ts'
import { Storm, type Totals } from './cache/storm.ts'
import { diceOf } from './random.ts'

/** Beyond the silence that ends a proof. */
const graceMs = 100

const tell = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)

const percentile = (sorted: readonly number[], share: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)

const describe = ({ reads, withToken, writes, late, broken, ages, oldestMs, slowestMs }: Totals): string => {
  const sorted = ages.toSorted((a, b) => a - b)
  const old = `p50 ${percentile(sorted, 0.5)} p99 ${percentile(sorted, 0.99)} most ${oldestMs.toFixed(0)} ms`
  return `${reads} reads (${withToken} with a token), ${writes} writes, ${broken} wrong, ${late} late (${old}), slowest ${slowestMs.toFixed(0)} ms`
}

const judge = (
  fault: Fault,
  { broken, examples, oldestMs, errors, reads, writes }: Totals,
  boundMs: number,
): readonly string[] => {
  const found: string[] = []
  if (broken > 0) found.push(`${broken} answers were stale that must not be: ${examples.slice(0, 3).join('; ')}`)
  if (oldestMs > boundMs) found.push(`an answer was ${oldestMs.toFixed(0)} ms old, and ${boundMs} is the bound`)
  const failed = Object.entries(errors).filter(([code]) => !fault.mayFail?.test(code))
  if (failed.length > 0) found.push(`failed: ${failed.map(([code, times]) => `${code} (${times})`).join(', ')}`)
  if (reads === 0 || writes === 0) found.push('nothing was read, or nothing written')
  return found.map((each) => `${fault.name}: ${each}`)
}

interface Sum {
  reads: number
  strikes: number
  readonly failures: string[]
}

interface PhaseLength {
  readonly seconds: number
  /** At least. */
  readonly reads: number
}

const phase = async (storm: Storm, fault: Fault, { seconds, reads }: PhaseLength, sum: Sum): Promise<void> => {
  storm.run()
  await pause(seconds * 300)
  await fault.strike(storm)
  await pause(seconds * 700)
  while (storm.totals.reads < reads) await pause(1000)
  await storm.pause()
  const found = [...judge(fault, storm.totals, storm.options.maxSilenceMs + graceMs)]
  const stuck = await storm.stuck()
  if (stuck.length > 0) found.push(`${fault.name}: ${stuck.length} keys are stuck: ${stuck.slice(0, 3).join('; ')}`)
  await storm.ready().catch((error: unknown) => found.push(`${fault.name}: ${String(error)}`))
  sum.reads += storm.totals.reads
  sum.strikes++
  sum.failures.push(...found)
  const errors = Object.entries(storm.totals.errors)
    .map(([code, times]) => `, ${code} ${times}`)
    .join('')
  tell(`${fault.name}: ${describe(storm.totals)}, ${stuck.length} stuck${errors}`)
  for (const each of found) tell(`  WRONG ${each}`)
}

const usage = `npm run chaos:cache -- [options]
  --minutes <n>      goes through the faults again and again for so long (default 5; 0: once)
  --seconds <n>      length of each phase (default 10)
  --reads <n>        a phase goes on until so many reads were judged (default 0)
  --faults <a,b,…>   of ${faults.map(({ name }) => name).join(', ')} (default: all)
  --nodes <n>        processes (default 3)
  --keys <n>         keys of each kind (default 40)
  --loops <n>        readers in a process (default 8)
  --silence <n>      milliseconds without a proof after which nothing is answered from a cache (default 1000)
  --cluster          values are in a Redis Cluster of three masters, of which each can be lost once
  --seed <n>         what the dice begin with (default 1)`

const chosenFaults = (given: unknown, isCluster: boolean): readonly Fault[] => {
  const fitting = faults.filter(({ only }) => only === undefined || only === (isCluster ? 'cluster' : 'single'))
  const names = given === undefined ? fitting.map(({ name }) => name) : String(given).split(',')
  const unfit = names.filter(
    (name) => faults.some((fault) => fault.name === name) && !fitting.some((fault) => fault.name === name),
  )
  if (unfit.length > 0)
    throw new UsageError(`${unfit.join(', ')} cannot be done ${isCluster ? 'to' : 'without'} a cluster\n\n${usage}`)
  const unknown = names.filter((name) => !faults.some((fault) => fault.name === name))
  if (unknown.length > 0) throw new UsageError(`no fault is named ${unknown.join(', ')}\n\n${usage}`)
  return faults.filter(({ name }) => names.includes(name))
}

await main(async (signal) => {
  const option = { type: 'string' } as const
  const presets = { minutes: 5, seconds: 10, reads: 0, nodes: 3, keys: 40, loops: 8, silence: 1000, seed: 1 }
  const values = parseOptions(usage, {
    ...Object.fromEntries(Object.keys(presets).map((name) => [name, option])),
    faults: option,
    cluster: { type: 'boolean' },
  })
  const isCluster = values['cluster'] === true
  const number = (name: keyof typeof presets): number =>
    count(name, values[name], { default: presets[name], min: 0, max: 2 ** 31 })
  const [minutes, seed, seconds, reads] = [number('minutes'), number('seed'), number('seconds'), number('reads')]
  const chosen = chosenFaults(values['faults'], isCluster)
  const storm = await Storm.open({
    dir: await mkdtemp(join(tmpdir(), 'tidemark-chaos-cache-')),
    nodes: number('nodes'),
    keys: number('keys'),
    loops: number('loops'),
    writeShare: 0.02,
    maxSilenceMs: number('silence'),
    seed,
    dice: diceOf(seed),
    isCluster,
  })
  const sum: Sum = { reads: 0, strikes: 0, failures: [] }
  const endsAt = Date.now() + minutes * 60_000
  try {
    await interruptible(signal, storm.start())
    do for (const fault of chosen) await interruptible(signal, phase(storm, fault, { seconds, reads }, sum))
    while (Date.now() < endsAt && sum.failures.length === 0)
  } catch (error) {
    sum.failures.push(String(error))
  } finally {
    await storm.stop()
  }
  for (const failure of sum.failures) console.log(failure)
  const load = `load ${loadavg()[0]!.toFixed(1)} on ${cpus().length} processors`
  console.log(
    `${sum.failures.length === 0 ? 'PASSED' : 'FAILED'}: ${sum.reads} reads, ${sum.strikes} phases, seed ${seed}, ${load}`,
  )
  return sum.failures.length === 0
})
