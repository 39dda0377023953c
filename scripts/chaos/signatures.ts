// `npm run chaos:signatures`: a million changed signatures of webhooks, of which none may be believed.

import { tryMutatedSignatures } from '../../packages/tidemark/dist/webhooks/testing/mutated-signatures.js'
import { count, main, parseOptions } from '../options.ts'

const usage = `npm run chaos:signatures -- [options]
  --count <n>   signatures (default 1000000)
  --seed <n>    of what is drawn (default: the time)`

const given = parseOptions(usage, { count: { type: 'string' }, seed: { type: 'string' } })

await main(async (signal) => {
  const wanted = count('count', given['count'], { default: 1_000_000, min: 1, max: 100_000_000 })
  const seed = count('seed', given['seed'], { default: Date.now() % 2 ** 31, min: 0, max: 2 ** 31 })
  const startedAt = performance.now()
  const { tried, accepted, controls } = await tryMutatedSignatures(wanted, seed, signal)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`seed ${seed}: ${tried} changed signatures in ${seconds} s`)
  for (const { provider, value } of accepted.slice(0, 20)) console.log(`  believed: ${provider} ${JSON.stringify(value)}`)
  const sound = controls.every(Boolean) && accepted.length === 0 && tried === wanted
  console.log(sound ? 'PASS: none was believed' : `FAIL: ${accepted.length} believed, unchanged ones: ${controls.join(' ')}`)
  return sound
})
