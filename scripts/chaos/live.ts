/**
 * A live move under fire: a program in another language hammers the file, another one Postgres, and meanwhile everything goes wrong that can,
 * through following, cutover, mirroring and rollback, again and again: `npm run chaos:move -- --minutes 10 --seed 1` (or `--kills 200`).
 * `--faults kill,walsender` keeps to some of the faults. Ends with a verdict; the exit status is 0 only if nothing was lost, nothing doubled,
 * both sides are equal, and nothing is left behind.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { count, interruptible, main, parseOptions, UsageError } from '../options.ts'
import { faultNames, NextFault, parseFaults } from './faults/faults.ts'
import { journey } from './live/journey.ts'
import { createMachineClock } from './live/machine-clock.ts'
import { SqliteWriter } from './live/sqlite-writer.ts'
import { fileName, Project } from './project.ts'
import { diceOf } from './random.ts'
import { Tally, tell } from './tally.ts'
import { checkTraces } from './verdict.ts'

const usage = `npm run chaos:move -- [options]
  --minutes <n>      begins journeys for so long (default 5; 0: one)
  --kills <n>        and until so many processes were killed (default 0)
  --faults <a,b,…>   of ${faultNames.join(', ')} (default: all)
  --rounds <n-m>     how many faults each state sees in a journey (default 4-8)
  --seed <n>         what the dice begin with (default 1)`

const wanted = () => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { minutes: option, kills: option, seed: option, faults: option, rounds: option })
  const number = (name: string, preset: number) => count(name, values[name], { default: preset, min: 0, max: 2 ** 31 })
  const rounds = /^(\d+)(?:-(\d+))?$/.exec(String(values['rounds'] ?? '4-8'))
  if (!rounds) throw new UsageError(`--rounds is "${values['rounds']}", and has to be a number or two, as in 4-8.`)
  return {
    until: Date.now() + number('minutes', 5) * 60_000,
    kills: number('kills', 0),
    seed: number('seed', 1),
    faults: parseFaults(String(values['faults'] ?? faultNames.join(','))),
    rounds: [Number(rounds[1]), Number(rounds[2] ?? rounds[1])] as const,
  }
}

/** Some rows to begin with, in either of SQLite's ways to write. */
const fillFile = async (project: Project, seed: number): Promise<void> => {
  const db = new Sqlite(project.path)
  db.pragma(`journal_mode = ${seed % 2 === 0 ? 'WAL' : 'DELETE'}`)
  db.close()
  const first = new SqliteWriter(project, { name: 's0', seed, rebuilds: false })
  await pause(3000)
  await first.stop()
}

await main(async (signal) => {
  const { until, kills, seed, faults, rounds } = wanted()
  const cwd = await mkdtemp(join(tmpdir(), 'tidemark-chaos-'))
  await chmod(cwd, 0o755)
  const began = performance.now()
  const [tally, dice, clock] = [new Tally(), diceOf(seed), createMachineClock(cwd)]
  const project = new Project(cwd, clock, tally)
  const next = new NextFault(faults)
  try {
    await fillFile(project, seed)
    await project.startServer()
    for (let number = 1; number === 1 || tally.count('kill') < kills || Date.now() < until; number++) {
      tell(`round ${number}`)
      await interruptible(signal, journey({ project, dice, tally }, { number, rounds, next }))
      if (tally.failures.length > 0) break
    }
    await project.must('move', 'abort', fileName, '--yes')
    await checkTraces(project, tally)
  } catch (error) {
    tally.fail(String(error))
  } finally {
    await project.stopServer()
    clock.close()
    if (tally.failures.length === 0 || signal.aborted) await rm(cwd, { recursive: true, force: true, maxRetries: 10 })
  }
  for (const line of tally.lines()) console.log(line)
  for (const failure of tally.failures) console.log(failure)
  const minutes = ((performance.now() - began) / 60_000).toFixed(1)
  const what = `${tally.count('kill')} kills, ${tally.cutovers} cutovers, ${tally.rollbacks} rollbacks in ${minutes} min, seed ${seed}, clock by ${clock.kind}`
  console.log(`${tally.failures.length === 0 ? 'PASSED' : `FAILED (${cwd} is kept)`}: ${what}`)
  return tally.failures.length === 0
})
