/** One node of the cache under chaos: reads and writes hot keys, and compares each answer with what was acknowledged when the read began. */
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import type { LoadClient } from '../../../packages/tidemark/dist/cache/cache.js'
import { cached } from '../../../packages/tidemark/dist/cache/cached.js'
import { openCache } from '../../../packages/tidemark/dist/cache/open-cache.js'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { between, type Dice, diceOf } from '../random.ts'
import { Board, wallMs } from './board.ts'
import type { NodeCommand, NodeOptions, NodeReport } from './words.ts'

const {
  database,
  redis,
  board: boardPath,
  index,
  nodes,
  keys,
  loops,
  writeShare,
  maxSilenceMs,
  seed,
} = JSON.parse(process.argv[2] ?? '{}') as NodeOptions

const numberFrom =
  (table: string) =>
  async ({ id }: { readonly id: unknown }, db: LoadClient) =>
    (await db.query<{ n: number }>(`select n from ${table} where id = $1`, [id])).rows[0]?.n ?? -1

const entries = {
  firm: cached('firm:{id}', { ttl: '10m', from: { firm: 'id' }, linearizable: true, load: numberFrom('firm') }),
  plain: cached('plain:{id}', { ttl: '10m', from: { plain: 'id' }, load: numberFrom('plain') }),
  tagged: cached('tagged:{id}', {
    ttl: '10m',
    from: { plain: { tag: 'plain:{id}' } },
    tags: ({ id }) => [`plain:${id}`],
    load: numberFrom('plain'),
  }),
}

const cache = await openCache({ entries, database, redis, maxSilenceMs, name: 'chaos' })
const board = new Board(boardPath, 2 * keys, nodes + 1)
/** Keys of `firm` come first on the board. */
const boardKey = (kind: keyof typeof entries, id: number): number => (kind === 'firm' ? id : keys + id)

let going = false
let isMember = false
let report = newReport()
let dying: 'commit' | 'announced' | undefined

function newReport(): NodeReport {
  return { reads: 0, withToken: 0, writes: 0, broken: 0, examples: [], late: 0, ages: [], oldestMs: 0, slowestMs: 0, errors: {} }
}

const count = (what: string, error: unknown): void => {
  const code = `${what} ${(error as { code?: string }).code ?? String(error)}`
  report.errors[code] = (report.errors[code] ?? 0) + 1
}

const kinds = ['firm', 'firm', 'plain', 'tagged'] as const

/** `must`: the read has to see what was acknowledged. */
const judge = (what: string, key: number, value: number, began: number, least: number, must: boolean): void => {
  report.reads++
  if (value >= least) return
  report.late++
  const ageMs = began - (board.supersededAt(key, value) ?? began)
  if (report.ages.length < 20_000) report.ages.push(ageMs)
  report.oldestMs = Math.max(report.oldestMs, ageMs)
  if (!must) return
  report.broken++
  if (report.examples.length < 5)
    report.examples.push(`${what} gave ${value}, ${least} was acknowledged, ${ageMs.toFixed(1)} ms old`)
}

const read = async (dice: Dice): Promise<void> => {
  const kind = kinds[between(dice, 0, kinds.length - 1)]!
  const ids = Array.from({ length: dice() < 0.05 ? 4 : 1 }, () =>
    between(dice, 0, dice() < 0.5 ? Math.min(9, keys - 1) : keys - 1),
  )
  const known = ids.map((id) => board.read(boardKey(kind, id)))
  const epoch = cache.position()?.epoch
  const wants = kind !== 'firm' && dice() < 0.3 && epoch !== undefined && known.every(({ position }) => position > 0n)
  const number = known.reduce((most, { position }) => (position > most ? position : most), 0n)
  const options = wants ? { after: { epoch, number } } : undefined
  const began = wallMs()
  try {
    const entry = cache.entries[kind]
    const params = ids.map((id) => ({ id }))
    const values = params.length > 1 ? await entry.getMany(params, options) : [await entry.get(params[0]!, options)]
    report.slowestMs = Math.max(report.slowestMs, wallMs() - began)
    if (wants) report.withToken++
    const what = `${kind}${params.length > 1 ? ' of many' : ''}${wants ? ' with a token' : ''} on node ${index}`
    for (const [i, id] of ids.entries())
      judge(what, boardKey(kind, id), values[i] as number, began, known[i]!.version, kind === 'firm' || wants)
  } catch (error) {
    count(`read ${kind}`, error)
  }
}

const write = async (dice: Dice): Promise<void> => {
  const [table, id] = [dice() < 0.5 ? ('firm' as const) : ('plain' as const), between(dice, 0, keys - 1)]
  const update = async (tx: LoadClient): Promise<number> => {
    const { rows } = await tx.query<{ n: number }>(`update ${table} set n = n + 1 where id = $1 returning n`, [id])
    return rows[0]!.n
  }
  try {
    const touches = dice() < 0.3 ? ['public.firm'] : [cache.entries.firm.key({ id })]
    const { result, position } = await cache.write(update, { touches: table === 'firm' ? touches : [] })
    board.acknowledge(boardKey(table, id), index, result, position.epoch === 'unknown' ? 0n : position.number)
    report.writes++
  } catch (error) {
    count('write', error)
  }
}

let [readCount, writeCount] = [0, 0]

const readOn = async (dice: Dice): Promise<void> => {
  while (going) {
    for (let i = 0; i < 16 && going; i++) await read(dice)
    readCount += 16
    await turn()
  }
}

const writeOn = async (dice: Dice): Promise<void> => {
  while (going) {
    if (writeCount <= writeShare * readCount) {
      writeCount++
      await write(dice)
    } else await pause(1)
  }
}

/** Dies in the middle of a write: when its intent is told, or when its commit is. */
const { primary } = cache.pools
const [query, transaction] = [primary.query.bind(primary), primary.transaction.bind(primary)]
const die = (): Promise<never> => {
  process.kill(process.pid, 'SIGKILL')
  return new Promise(() => {})
}
primary.query = ((text: string, ...rest: []) =>
  dying === 'commit' && text.includes('flush_lsn') ? die() : query(text, ...rest)) as typeof primary.query
primary.transaction = ((...args: Parameters<typeof transaction>) =>
  dying === 'announced' ? die() : transaction(...args)) as typeof primary.transaction

const values = async (): Promise<Record<string, number[]>> => {
  const found: Record<string, number[]> = {}
  for (const kind of ['firm', 'plain', 'tagged'] as const) {
    found[kind] = []
    for (let id = 0; id < keys; id++) found[kind].push((await cache.entries[kind].get({ id })) as number)
  }
  return found
}

let running: Promise<unknown> = Promise.resolve()
const obey = async (command: NodeCommand): Promise<void> => {
  if (command.type === 'run') {
    going = true
    running = Promise.all(Array.from({ length: loops }, (_, i) => (i < 2 ? writeOn : readOn)(diceOf(seed + index * 1000 + i))))
  } else if (command.type === 'pause') {
    going = false
    await running
    process.send!({ type: 'paused' })
  } else if (command.type === 'look') process.send!({ type: 'values', values: await values() })
  else dying = command.at
}
process.on('message', (command: NodeCommand) => void obey(command))
process.on('disconnect', () => process.exit(0))
setInterval(() => {
  const { role, redisEpoch, problem } = cache.node.state()
  process.send?.({
    type: 'report',
    report,
    role,
    hasRedis: redisEpoch !== null,
    freshMs: cache.freshness(),
    isMember,
    problem,
    stats: cache.stats(),
  })
  report = newReport()
}, 200)
await until(() => cache.freshness() < maxSilenceMs, { timeoutMs: 30_000, what: 'A proof of freshness' })
process.send!({ type: 'ready' })
// It answers linearizable entries from memory once all know of it, and no write holds what it reads.
await until(async () => (await cache.entries.firm.lookup({ id: 0 })).source === 'memory', { timeoutMs: 600_000 })
isMember = true
