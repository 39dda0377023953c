// `npm run bench:dashboard`: how quick the dashboard is in a real browser. See README.md.
import { availableParallelism, loadavg } from 'node:os'
import { count, main, parseOptions, UsageError } from '../scripts/options.ts'
import { change } from './dashboard/change.ts'
import { load } from './dashboard/load.ts'
import type { Part, PartReport, RoomyTarget } from './dashboard/part.ts'
import { rows } from './dashboard/rows.ts'
import { scroll } from './dashboard/scroll.ts'
import { openDashboardStage } from './dashboard/stage.ts'
import { closingLine, judge, loadText, summaryTable, type Target } from './measuring/report.ts'
import { summarize } from './measuring/statistics.ts'

const parts: Readonly<Record<string, Part>> = { load, change, rows, scroll }

const usage = `npm run bench:dashboard -- [options]
  --rounds <n>    rounds of each part (default 3)
  --changes <n>   changes of one round (default 40)
  --rows <n>      rows a second on the Feed screen (default 1000)
  --table <n>     rows of the table that is scrolled (default 100000)
  --only <a,b,…>  parts: ${Object.keys(parts).join(', ')}`

const readOptions = () => {
  const names = ['rounds', 'changes', 'rows', 'table', 'only'] as const
  const given = parseOptions(usage, Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])))
  const only = given['only'] === undefined ? Object.keys(parts) : String(given['only']).split(',')
  const unknown = only.find((name) => !(name in parts))
  if (unknown !== undefined) throw new UsageError(`--only names "${unknown}", which is none of the parts\n\n${usage}`)
  return {
    only,
    rounds: count('rounds', given['rounds'], { default: 3, min: 1, max: 100 }),
    changes: count('changes', given['changes'], { default: 40, min: 1, max: 10_000 }),
    rows: count('rows', given['rows'], { default: 1_000, min: 20, max: 100_000 }),
    table: count('table', given['table'], { default: 100_000, min: 1_000, max: 100_000 }),
  }
}

/** A machine with as much to do as it has processors has no room for a browser besides: what is missed there, is not judged. */
const judgedHere =
  (hasRoom: boolean) =>
  (target: RoomyTarget): Target => {
    const { measure, needsRoom, limit, what } = target
    if (hasRoom || needsRoom !== true || measure === undefined || summarize(measure.values).median <= limit) return target
    return { ...target, measure: undefined, what: `${what}: the machine had other work` }
  }

await main(async (signal) => {
  const { only, ...sizes } = readOptions()
  const hasRoom = loadavg()[0]! < availableParallelism()
  const stage = await openDashboardStage()
  try {
    console.log(`Node ${process.versions.node} · ${availableParallelism()} cores · ${loadText()}`)
    const reports: PartReport[] = []
    for (const name of only) {
      const startedAt = performance.now()
      reports.push(await parts[name]!(stage, { ...sizes, signal }))
      console.log(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s · ${loadText()}`)
    }
    const verdict = judge(reports.flatMap(({ targets }) => targets).map(judgedHere(hasRoom)))
    const lines = reports.flatMap(({ measures }) => measures).map(closingLine)
    console.log(['', summaryTable(reports.flatMap(({ figures }) => figures)), '', ...verdict.lines, '', ...lines].join('\n'))
    return verdict.met
  } finally {
    await stage.stop()
  }
})
