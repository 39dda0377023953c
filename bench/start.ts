// `npm run bench:start`: how long `npm start` takes until the first request is answered. See README.md.
import { availableParallelism } from 'node:os'
import { count, main, parseOptions } from '../scripts/options.ts'
import { closingLine, type Figure, judge, loadText, type Measure, seconds, summaryTable } from './measuring/report.ts'
import { runProcess } from './measuring/run-process.ts'
import { ratios } from './measuring/statistics.ts'
import { inFreshProject } from './start/fresh-project.ts'
import { readStartCommand, type StartCommand } from './start/start-command.ts'
import { type StartTiming, timeStart } from './start/start-server.ts'

const usage = `npm run bench:start -- [options]
  --rounds <n>   how often it is started without data and then with (default 5)`

interface Round {
  readonly bareMs: number
  readonly cold: StartTiming
  readonly warm: StartTiming
}

const bareNode = async (signal: AbortSignal): Promise<number> =>
  (await runProcess(process.execPath, ['-e', '0'], { signal })).wallMs

const describe = ({ livezMs, healthMs, bannerMs }: StartTiming): string =>
  `/livez ${seconds(livezMs)}, /health ${seconds(healthMs)}, banner ${seconds(bannerMs)}`

const runRound = ({ args }: StartCommand, signal: AbortSignal): Promise<Round> =>
  inFreshProject(async (folder) => {
    const bareMs = await bareNode(signal)
    const cold = await timeStart(args, folder, signal)
    console.log(`  cold  ${describe(cold)} · ${loadText()}`)
    const warm = await timeStart(args, folder, signal)
    console.log(`  warm  ${describe(warm)} · ${loadText()}`)
    return { bareMs, cold, warm }
  })

const inSeconds = (name: string, milliseconds: readonly number[]): Figure => ({
  name,
  values: milliseconds.map((ms) => ms / 1000),
  unit: 's',
})

const report = (rounds: readonly Round[]): boolean => {
  const figure = (name: string, pick: (round: Round) => number): Figure => inSeconds(name, rounds.map(pick))
  const cold = figure('cold, first 200 of /health', (round) => round.cold.healthMs)
  const warm = figure('warm, first 200 of /health', (round) => round.warm.healthMs)
  const bare = rounds.map(({ bareMs }) => bareMs)
  const ratio = (name: string, pick: (round: Round) => number): Measure => ({
    name,
    baseline: 'bare-node',
    values: ratios(rounds.map(pick), bare),
  })
  const figures = [
    inSeconds('bare-node', bare),
    figure('cold, first 200 of /livez', (round) => round.cold.livezMs),
    cold,
    figure('cold, banner (sample moved and verified)', (round) => round.cold.bannerMs),
    figure('warm, first 200 of /livez', (round) => round.warm.livezMs),
    warm,
    figure('warm, banner', (round) => round.warm.bannerMs),
  ]
  const verdict = judge([
    { measure: cold, what: 'first start answers within 5 s', limit: 5 },
    { measure: warm, what: 'start on existing data answers within 1.5 s', limit: 1.5 },
  ])
  const closing: readonly Measure[] = [
    ratio('start-cold', (round) => round.cold.healthMs),
    ratio('start-warm', (round) => round.warm.healthMs),
    { name: 'start-cold-seconds', values: cold.values },
    { name: 'start-warm-seconds', values: warm.values },
  ]
  console.log(`\n${[summaryTable(figures), '', ...verdict.lines, '', ...closing.map(closingLine)].join('\n')}`)
  return verdict.met
}

await main(async (signal) => {
  const { rounds: asked } = parseOptions(usage, { rounds: { type: 'string' } })
  const rounds = count('rounds', asked, { default: 5, min: 1, max: 100 })
  const command = readStartCommand()
  console.log(`${command.text}\nNode ${process.versions.node} · ${availableParallelism()} cores · ${loadText()}`)
  const done: Round[] = []
  for (let round = 1; round <= rounds; round++) {
    console.log(`round ${round} of ${rounds}`)
    done.push(await runRound(command, signal))
  }
  return report(done)
})
