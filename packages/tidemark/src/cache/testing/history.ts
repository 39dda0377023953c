import { purgeRedis } from '../follow/purge.js'
import { ModelClock, type Step } from './model-clock.js'
import { type BrokenFeed, ModelFeed, redisEpoch } from './model-feed.js'
import { type BrokenNode, createModelNode, ModelBus, type ModelNode, type RuleKind } from './model-node.js'
import { ModelPostgres } from './model-postgres.js'
import { type BrokenRedis, ModelRedis } from './model-redis.js'

/** Who does what, in an order that is decided on the way. */
export interface Scene {
  readonly linearizable: boolean
  readonly rule: RuleKind
  readonly nodes: number
  /** Each of them reads so often, on its node. */
  readonly readers: readonly { readonly node: number; readonly times: number; readonly many: boolean }[]
  readonly writers: readonly { readonly node: number; readonly rollsBack: boolean; readonly times: number }[]
  /** Changes of another row, of which those reads need know nothing. */
  readonly others: number
  /** Nodes that have the value in memory before. The first of them has put it into Redis. */
  readonly warm: readonly number[]
  readonly inPieces: boolean
  readonly standby: boolean
  /** Milliseconds that pass at once, now and then. */
  readonly pauses: readonly number[]
  readonly proofs: number
  /** How much longer the last node takes to hear of anything. */
  readonly lag: number
}

export interface Broken {
  readonly redis?: BrokenRedis
  readonly feed?: BrokenFeed
  readonly node?: BrokenNode
}

/** Who may act, one at a time. */
export interface Turns {
  schedule(what: string): Promise<void>
  readonly waiting: () => number
  next(): Promise<void>
}

interface Read {
  readonly what: string
  readonly began: number
  readonly ended: number
  readonly value: number
  /** What a write had told before the read began. */
  readonly least: number
}

const [id, otherId] = ['1', '2']
/** Lets promises that wait for nothing but their turn settle. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Plays a scene and gives what went wrong; nothing where all went well. */
export const play = async (scene: Scene, turns: Turns, broken: Broken = {}): Promise<readonly string[]> => {
  let racing = false
  const step: Step = (what) => (racing ? turns.schedule(what) : Promise.resolve())
  const clock = new ModelClock()
  const postgres = new ModelPostgres(step, clock)
  const redis = new ModelRedis(step, clock, broken.redis)
  const bus = new ModelBus(step)
  const { linearizable, rule, inPieces } = scene
  const nodes = Array.from({ length: scene.nodes }, () =>
    createModelNode({
      clock,
      pool: postgres.pool(scene.standby),
      redis,
      bus,
      rule,
      step,
      linearizable,
      mayBeStandby: scene.standby,
      ...(broken.node && { broken: broken.node }),
    }),
  )
  const purge = (pieces: Parameters<typeof purgeRedis>[1]) => purgeRedis({ rules: nodes[0]!.rules, prefix: '', redis }, pieces)
  const feed = new ModelFeed({ postgres, clock, step, inPieces, purge, ...(broken.feed && { broken: broken.feed }) })

  for (const [i, node] of nodes.entries()) {
    node.feed.attach({
      waitFor: await feed.deliver(`node ${i}`, node.follower, i === nodes.length - 1 ? scene.lag : 0),
      redisEpoch: () => redisEpoch,
    })
    await node.start()
    if (linearizable) node.membership.start()
  }
  void feed.read()
  await settled()
  await feed.prove()
  await settled()
  for (const i of scene.warm) await nodes[i]?.entry.get({ id })
  await settled()

  const problems: string[] = []
  const reads: Read[] = []
  let [now, told] = [0, 0]
  let token = 0n
  const read = async (
    what: string,
    node: ModelNode,
    many: boolean,
    after?: { readonly position: never; readonly least: number },
  ) => {
    const began = ++now
    const least = after?.least ?? (linearizable ? told : 0)
    const options = after ? { after: after.position } : undefined
    try {
      const [value = -1] = many
        ? await node.entry.getMany([{ id }, { id: otherId }], options)
        : [options ? await node.entry.get({ id }, options) : await node.entry.get({ id })]
      reads.push({ what, began, ended: ++now, value, least })
    } catch (error) {
      problems.push(`${what} failed: ${String(error)}`)
    }
  }
  const writer = async ({ node: at, rollsBack, times }: Scene['writers'][number], name: string) => {
    for (let time = 0; time < times; time++) {
      await step(`${name} begins`)
      const update = async (tx: { query: (text: string, values: readonly unknown[]) => Promise<{ rows: unknown[] }> }) => {
        const { rows } = await tx.query('update items set n = n + 1 where id = $1', [id])
        if (rollsBack) throw new RangeError('rolled back')
        return (rows[0] as { n: number }).n
      }
      try {
        const { result, position } = await nodes[at % nodes.length]!.write(update)
        told = Math.max(told, result)
        if (position.number > token) token = position.number
        const after = linearizable ? undefined : { position: position as never, least: result }
        await Promise.all(nodes.map((node, i) => read(`${name}, then node ${i}`, node, false, after)))
      } catch (error) {
        if (!(error instanceof RangeError)) problems.push(`${name} failed: ${String(error)}`)
      }
    }
  }
  const reader = async ({ node, times, many }: Scene['readers'][number], name: string) => {
    for (let time = 0; time < times; time++) {
      await step(`${name} begins`)
      await read(name, nodes[node % nodes.length]!, many)
    }
  }

  racing = true
  let left = 0
  const act = (work: Promise<unknown>) => {
    left++
    void work.finally(() => left--)
  }
  for (const [i, each] of scene.writers.entries()) act(writer(each, `writer ${i}`))
  for (const [i, each] of scene.readers.entries()) act(reader(each, `reader ${i} of node ${each.node % nodes.length}`))
  const later = async (what: string, does: () => unknown, times: number) => {
    for (let time = 0; time < times; time++) {
      await step(what)
      await does()
    }
  }
  const other = () => nodes[0]!.write((tx) => tx.query('update items set n = n + 1 where id = $1', [otherId]))
  act(later('another row is changed', other, scene.others))
  act(later('proves', () => void feed.prove(), scene.proofs))
  for (const pauseMs of scene.pauses) act(later(`${pauseMs} ms pass`, () => clock.advance(pauseMs), 1))
  if (scene.standby) act(later('the standby replays', () => postgres.replay(), 2 + scene.writers.length * 2))
  const finish = async () => {
    for (;;) {
      await settled()
      if (turns.waiting() > 0) await turns.next()
      else if (left === 0 || !clock.skip()) return
    }
  }
  await finish()
  if (left > 0) problems.push('somebody waits for ever')

  // What a standby answers is as old as it is.
  for (const { what, value, least } of scene.standby ? [] : reads)
    if (value < least) problems.push(`${what} read ${value} after ${least} was told`)
  if (linearizable)
    for (const one of reads)
      for (const other of reads)
        if (one.ended < other.began && one.value > other.value)
          problems.push(`${other.what} read ${other.value} after ${one.what} had read ${one.value}`)

  // When all is delivered, nothing old is left.
  for (const _ of postgres.log) postgres.replay()
  const last = postgres.numberOf(id)
  const lastOther = postgres.numberOf(otherId)
  void feed.prove()
  await finish()
  racing = false
  for (const [i, node] of nodes.entries()) {
    if (node.feed.position!.number < token) problems.push(`node ${i} never comes to where a write was told to be`)
    const kept = node.entry.peek({ id })
    if (kept !== undefined && kept !== last) problems.push(`node ${i} keeps ${kept} in memory, and ${last} stands`)
    const other = node.entry.peek({ id: otherId })
    if (other !== undefined && other !== lastOther) problems.push(`node ${i} keeps the other ${other}, and ${lastOther} stands`)
  }
  const standing = redis.look(`item:${id}`, redisEpoch)?.value
  if (rule === 'key' && standing !== undefined && standing !== last) problems.push(`Redis keeps ${standing}, and ${last} stands`)
  for (const [i, node] of nodes.entries()) {
    const value = await node.entry.get({ id })
    if (value !== last) problems.push(`at the end node ${i} answers ${value}, and ${last} stands`)
    if (linearizable) await node.membership.stop()
  }
  return problems
}
