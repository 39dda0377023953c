import fc from 'fast-check'
import * as prom from 'prom-client'
import { expect, it } from 'vitest'
import { createMetrics } from './metrics.js'

const value = fc.double({ min: -1, max: 20, noNaN: true })
const observations = fc.array(
  fc.record({ value, route: fc.constantFrom('/a', '/b', '/a"\n\\'), status: fc.constantFrom(200, 404) }),
)

it('renders the same text as the histogram of prom-client', async () => {
  await fc.assert(
    fc.asyncProperty(observations, fc.boolean(), async (all, areLabelled) => {
      const [name, help, buckets] = ['tidemark_x_seconds', 'X.', [0.5, 1, 2.5, 10]]
      const registry = new prom.Registry()
      const labelNames = areLabelled ? (['route', 'status'] as const) : []
      const theirs = new prom.Histogram<string>({ name, help, buckets, labelNames: [...labelNames], registers: [registry] })
      const metrics = createMetrics()
      const ours = metrics.histogram<'route' | 'status'>(name, help, ['route', 'status'], buckets)
      const alone = createMetrics()
      const bare = alone.histogram(name, help, [], buckets)
      for (const { value, ...labels } of all) {
        theirs.observe(areLabelled ? labels : {}, value)
        if (areLabelled) ours.observe(value, labels)
        else bare.observe(value)
      }
      const lines = (text: string): readonly string[] => text.split('\n').sort()
      expect(lines(await (areLabelled ? metrics : alone).render())).toEqual(lines(await registry.metrics()))
    }),
    { numRuns: 50 },
  )
})

it('SEC-2: what differs in secrets only is one series, and stays one', async () => {
  const metrics = createMetrics()
  const seconds = metrics.histogram('tidemark_x_seconds', 'X.', ['target'], [1])
  for (let n = 0; n < 1200; n++) seconds.observe(0.5, { target: `redis://u:secret${n}@h` })
  const text = await metrics.render()
  expect(text).toContain('tidemark_x_seconds_count{target="redis://u:***@h"} 1200')
  expect(text).not.toContain('secret')
})

it('takes no value that is none', () => {
  const seconds = createMetrics().histogram('tidemark_x_seconds', 'X.')
  expect(() => seconds.observe(Number.NaN)).toThrow(TypeError)
})
