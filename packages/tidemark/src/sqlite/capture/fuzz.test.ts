import { writeSync } from 'node:fs'
import { it } from 'vitest'
import { runDifferential, type DifferentialResult } from './testing/differential.js'

const seeds = Number(process.env['FUZZ_SEEDS'] ?? 100)
const first = Number(process.env['FUZZ_FIRST'] ?? 1)

it('fuzz', async () => {
  let n = 0, c = 0, bad = 0, skipped = 0
  const out: string[] = []
  for (let s = first; s < first + seeds; s++) {
    const t0 = performance.now()
    const r: DifferentialResult = await runDifferential(s, 250).catch((e) => ({ statements: 0, changedKeys: 0, failures: [`seed ${s} ${e.stack}`] }))
    writeSync(2, `${s} ${r.statements} ${Math.round(performance.now() - t0)}\n`)
    n += r.statements; c += r.changedKeys
    if (r.statements === 0) skipped++
    if (r.failures.length) { bad++; if (out.length < 4) out.push(r.failures.join('\n')) }
  }
  writeSync(2, JSON.stringify({ n, c, bad, skipped }) + out.join('\n\n'))
}, 600000)
