// `npm run bench:realtime`: sockets, changes and policies beside raw `ws`. See README.md.
import { count, main, parseOptions, UsageError } from '../scripts/options.ts'
import { closingLine, judge, loadText, summaryTable } from './measuring/report.ts'
import { commit, members, owners } from './realtime/changes.ts'
import { fanOut } from './realtime/fan-out.ts'
import { filters } from './realtime/filters.ts'
import { idle } from './realtime/idle.ts'
import type { Part, PartReport } from './realtime/part.ts'
import { openRealtimeStage } from './realtime/stage.ts'

const parts: Readonly<Record<string, Part>> = { 'fan-out': fanOut, commit, owners, members, filters, idle }

const usage = `npm run bench:realtime -- [options]
  --rounds <n>        rounds of what is measured in turns (default 5)
  --sockets <n>       that a broadcast goes to, and users under policies (default 1000)
  --messages <n>      broadcasts of one turn (default 200)
  --changes <n>       changes of one turn (default 3000)
  --idle <n>          connections that say nothing (default 10000)
  --filters <n>       filters of equality (default 50000)
  --only <a,b,…>      parts: ${Object.keys(parts).join(', ')}`

const readOptions = () => {
  const names = ['rounds', 'sockets', 'messages', 'changes', 'idle', 'filters', 'only'] as const
  const given = parseOptions(usage, Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])))
  const number = (name: (typeof names)[number], preset: number, max: number, min = 1): number =>
    count(name, given[name], { default: preset, min, max })
  const only = given['only'] === undefined ? Object.keys(parts) : String(given['only']).split(',')
  const unknown = only.find((name) => !(name in parts))
  if (unknown !== undefined) throw new UsageError(`--only names "${unknown}", which is none of the parts\n\n${usage}`)
  return {
    only,
    rounds: number('rounds', 5, 100),
    sockets: number('sockets', 1000, 20_000, 10),
    messages: number('messages', 200, 100_000),
    changes: number('changes', 3000, 1_000_000, 10),
    idle: number('idle', 10_000, 100_000, 10),
    filters: number('filters', 50_000, 1_000_000),
  }
}

await main(async (signal) => {
  const { only, ...sizes } = readOptions()
  const stage = await openRealtimeStage()
  try {
    console.log(`${stage.postgres.description} · Node ${process.versions.node} · ${loadText()}`)
    const reports: PartReport[] = []
    for (const name of only) {
      const startedAt = performance.now()
      reports.push(await parts[name]!(stage, { ...sizes, signal }))
      console.log(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s · ${loadText()}`)
    }
    const verdict = judge(reports.flatMap(({ targets }) => targets))
    const figures = reports.flatMap((report) => report.figures)
    const table = figures.length > 0 ? ['', summaryTable(figures)] : []
    const lines = reports.flatMap(({ measures }) => measures).map(closingLine)
    console.log([...table, '', ...verdict.lines, '', ...lines].join('\n'))
    return verdict.met
  } finally {
    await stage.stop()
  }
})
