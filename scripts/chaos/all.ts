/**
 * All storms, one after the other, for a chosen time: `npm run chaos -- --minutes 60 --seed 1`. Each round gives each of them a seed of its own, drawn from the one that is given, so that a
 * failure can be had again by the command that is printed with it. Ends with one verdict; the exit status is 0 only if every one of them passed.
 * @holds R135
 */
import { cpus, loadavg } from 'node:os'
import { findRedisServer } from '../../packages/tidemark/dist/redis/embedded/find-server.js'
import { count, main, parseOptions, UsageError } from '../options.ts'
import { runScript } from '../programs.ts'
import { between, diceOf } from './random.ts'

interface Kind {
  readonly name: string
  readonly needsRedis?: true
  /** About a minute's worth. */
  readonly args: readonly string[]
}

const kinds: readonly Kind[] = [
  { name: 'cache', needsRedis: true, args: ['--minutes', '0', '--seconds', '4'] },
  { name: 'realtime', needsRedis: true, args: ['--reconnects', '60', '--faults', '8', '--minutes', '4'] },
  { name: 'webhooks', needsRedis: true, args: ['--scenarios', 'rolling', '--events', '1000'] },
  { name: 'live', args: ['--minutes', '0', '--rounds', '2-3'] },
  { name: 'copy', args: ['--kills', '8', '--rows', '40000'] },
  { name: 'alerts', args: ['--seconds', '30', '--outages', '1'] },
  { name: 'rest', args: ['--requests', '20000', '--minutes', '2'] },
  { name: 'statements', args: ['--statements', '6000'] },
  { name: 'frames', args: ['--frames', '10000'] },
  { name: 'signatures', args: ['--count', '50000'] },
]

const usage = `npm run chaos -- [options]
  --minutes <n>    begins no other round after so long (default 30; 0: one round)
  --only <a,b,…>   of ${kinds.map(({ name }) => name).join(', ')} (default: all)
  --seed <n>       what the dice begin with (default 1)`

const chosenKinds = async (given: unknown): Promise<readonly Kind[]> => {
  const names = given === undefined ? kinds.map(({ name }) => name) : String(given).split(',')
  const unknown = names.filter((name) => !kinds.some((kind) => kind.name === name))
  if (unknown.length > 0) throw new UsageError(`no storm is named ${unknown.join(', ')}\n\n${usage}`)
  const hasRedis = (await findRedisServer()) !== undefined
  const chosen = kinds.filter(({ name }) => names.includes(name))
  for (const { name } of chosen.filter(({ needsRedis }) => needsRedis && !hasRedis))
    console.log(`left out: ${name}, which needs a redis-server on PATH`)
  return chosen.filter(({ needsRedis }) => needsRedis !== true || hasRedis)
}

const tell = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)

await main(async (signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { minutes: option, only: option, seed: option })
  const minutes = count('minutes', values['minutes'], { default: 30, min: 0, max: 100_000 })
  const seed = count('seed', values['seed'], { default: 1, min: 0, max: 2 ** 31 })
  const chosen = await chosenKinds(values['only'])
  const dice = diceOf(seed)
  const endsAt = Date.now() + minutes * 60_000
  const failures: string[] = []
  let [rounds, runs] = [0, 0]
  do {
    rounds++
    for (const { name, args } of chosen) {
      if (signal.aborted) break
      const whole = [...args, '--seed', String(between(dice, 1, 1_000_000))]
      const { code, lastLine, output, seconds } = await runScript(`scripts/chaos/${name}.ts`, whole, { signal })
      if (signal.aborted) break
      runs++
      tell(`${code === 0 ? 'passed' : 'FAILED'} ${name} in ${seconds.toFixed(0)} s: ${lastLine}`)
      if (code === 0) continue
      failures.push(`jiti scripts/chaos/${name}.ts ${whole.join(' ')}`)
      console.log(output.slice(-4_000))
    }
  } while (Date.now() < endsAt && failures.length === 0 && !signal.aborted)
  for (const failure of failures) console.log(`to have it again: ${failure}`)
  const machine = `load ${loadavg()[0]!.toFixed(1)} on ${cpus().length} processors`
  console.log(
    `${failures.length === 0 ? 'PASSED' : 'FAILED'}: ${runs} storms in ${rounds} rounds, ${failures.length} failed, seed ${seed}, ${machine}`,
  )
  return failures.length === 0 && runs > 0
})
