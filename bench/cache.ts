// `npm run bench:cache`: the cache beside bentocache and what it stands on. See README.md.

import { count, main, parseOptions, UsageError } from '../scripts/options.ts'
import { memoryHits, redisHits } from './cache/hits.ts'
import { hitRate, memoryBytes } from './cache/memory.ts'
import { misses, stampede } from './cache/misses.ts'
import { redisDown } from './cache/outage.ts'
import type { Part, PartReport } from './cache/part.ts'
import { openCacheStage, type PartOptions } from './cache/stage.ts'
import { externalWriters, feedLost } from './cache/staleness.ts'
import { writes } from './cache/writes.ts'
import { closingLine, judge, loadText, summaryTable } from './measuring/report.ts'

const parts: Readonly<Record<string, Part>> = {
  l1: memoryHits,
  l2: redisHits,
  miss: misses,
  stampede,
  zipf: hitRate,
  bytes: memoryBytes,
  down: redisDown,
  external: externalWriters,
  lost: feedLost,
  write: writes,
}

const usage = `npm run bench:cache -- [options]
  --rounds <n>        rounds of what is measured in turns (default 5)
  --ms <n>            length of one turn (default 500)
  --keys <n>          keys of one turn in which each is asked for once (default 4000)
  --samples <n>       writes of each kind (default 300)
  --operations <n>    reads while the bytes in memory are looked at (default 10000000)
  --only <a,b,…>      parts: ${Object.keys(parts).join(', ')}`

const readOptions = () => {
  const names = ['rounds', 'ms', 'keys', 'samples', 'operations', 'only'] as const
  const given = parseOptions(usage, Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])))
  const number = (name: (typeof names)[number], preset: number, max: number): number =>
    count(name, given[name], { default: preset, min: 1, max })
  const only = given['only'] === undefined ? Object.keys(parts) : String(given['only']).split(',')
  const unknown = only.find((name) => !(name in parts))
  if (unknown !== undefined) throw new UsageError(`--only names "${unknown}", which is none of the parts\n\n${usage}`)
  return {
    only,
    rounds: number('rounds', 5, 100),
    ms: number('ms', 500, 60_000),
    keys: number('keys', 4000, 50_000),
    samples: number('samples', 300, 100_000),
    operations: number('operations', 10_000_000, 1_000_000_000),
  }
}

await main(async (signal) => {
  const { only, ...sizes } = readOptions()
  const options: PartOptions = { ...sizes, signal }
  const stage = await openCacheStage()
  try {
    console.log(`${stage.postgres.description} · Node ${process.versions.node} · ${loadText()}`)
    const reports: PartReport[] = []
    for (const name of only) {
      const startedAt = performance.now()
      reports.push(await parts[name]!(stage, options))
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
