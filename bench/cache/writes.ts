// What a write costs that tells where it is, and one that waits until nobody answers what it touches.
import type { LoadClient } from '../../packages/tidemark/dist/cache/cache.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { percentile } from '../measuring/statistics.ts'
import type { Part } from './part.ts'
import { type CacheStage, itemEntry, type PartOptions } from './stage.ts'

const update = (tx: LoadClient, id: number) => tx.query('update items set n = n + 1 where id = $1', [id])

interface Times {
  readonly raw: readonly number[]
  readonly ours: readonly number[]
}

/** A transaction through the same pool and a write, in turns. */
const measure = async (
  stage: CacheStage,
  { samples, signal }: PartOptions,
  { nodes: count, linearizable }: { readonly nodes: number; readonly linearizable: boolean },
): Promise<Times> => {
  const kind = linearizable ? 'linear' : 'session'
  const entries = { item: itemEntry(`${kind}${count}`, stage.loads, { linearizable }) }
  const nodes = await stage.open(count, { name: `${kind}${count}`, entries })
  const writer = nodes[0]!
  const params = { id: 1 }
  // A node that is no member yet answers nothing from memory, and is not waited for.
  const answers = async () => {
    for (const { entries: opened } of nodes) await opened.item.get(params)
    return nodes.every(({ entries: opened }) => opened.item.peek(params) !== undefined)
  }
  await until(answers, { timeoutMs: 30_000, what: 'The members of the cache' })
  const [raw, ours]: [number[], number[]] = [[], []]
  const timed = async (into: number[], work: () => Promise<unknown>): Promise<void> => {
    const startedAt = performance.now()
    await work()
    into.push(performance.now() - startedAt)
  }
  for (let i = -5; i < samples; i++) {
    signal.throwIfAborted()
    await timed(raw, () => writer.pools.primary.transaction((tx) => update(tx, i + 10)))
    await timed(ours, () => writer.write((tx) => update(tx, i + 10)))
    if (i < 0) raw.length = ours.length = 0
  }
  for (const node of [...nodes].reverse()) await node.stop()
  return { raw: raw.sort((a, b) => a - b), ours: ours.sort((a, b) => a - b) }
}

export const writes: Part = async (stage, options) => {
  const found = new Map<string, Times>()
  for (const linearizable of [false, true])
    for (const nodes of [1, 4]) {
      const name = `${linearizable ? 'linearizable' : 'session'}-${nodes}`
      found.set(name, await measure(stage, options, { nodes, linearizable }))
    }
  const all = [...found]
  return {
    figures: all.flatMap(([name, { raw, ours }]) => [
      { name: `write, ${name} node(s), p50`, values: [percentile(ours, 0.5)], unit: 'ms' },
      { name: `write, ${name} node(s), p99`, values: [percentile(ours, 0.99)], unit: 'ms' },
      { name: `the same by the pool alone, p50`, values: [percentile(raw, 0.5)], unit: 'ms' },
      { name: `the same by the pool alone, p99`, values: [percentile(raw, 0.99)], unit: 'ms' },
    ]),
    measures: all.flatMap(([name, { raw, ours }]) => [
      { name: `cache-write-${name}-more-ms-p50`, values: [percentile(ours, 0.5) - percentile(raw, 0.5)] },
      { name: `cache-write-${name}-more-ms-p99`, values: [percentile(ours, 0.99) - percentile(raw, 0.99)] },
    ]),
    targets: [],
  }
}
