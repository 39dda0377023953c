import { expect, it } from 'vitest'
import { benchmarksPage, readResult } from './benchmarks-page.ts'

const output = `round 1: 3.1 s
median (smallest – largest round)
  cold      1.20 (1.10 – 1.40)   s
met         at most 5 seconds to start cold: 1.20
MISSED      at most 1.5 seconds | warm: 1.70
not judged  against pgloader
start-cold-seconds 1.20
start-cold ratio to bare-node 24.0
`

it('reads closing lines and targets, and nothing else, and says which were missed', () => {
  const result = readResult('start', { output, code: 1, seconds: 30 })
  expect(result.figures).toEqual([
    { name: 'start-cold-seconds', baseline: undefined, value: '1.20' },
    { name: 'start-cold', baseline: 'bare-node', value: '24.0' },
  ])
  expect(result.targets.map(({ verdict }) => verdict)).toEqual(['met', 'MISSED', 'not judged'])
  const page = benchmarksPage([result], ['move', 'feed'], [['Node', 'v20']], new Date('2026-01-31T00:00:00Z'))
  for (const line of [
    'on 2026-01-31;',
    'Missed, or ended early: start.',
    'Not run: move, feed.',
    '| Node | v20 |',
    '| start | `start-cold` | `bare-node` | 24.0 |',
    '| start | `start-cold-seconds` | 1.20 |',
    '| start | **missed** | at most 1.5 seconds \\| warm: 1.70 |',
  ])
    expect(page).toContain(line)
})
