// Writers that know nothing of the cache, and a feed that falls silent.
import { parseLsn } from '../../packages/tidemark/dist/feed/position.js'
import { percentile } from '../measuring/statistics.ts'
import type { Part } from './part.ts'
import { itemEntry } from './stage.ts'
import { turnOfLoop } from './turns.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const stuckMs = 2000

export const externalWriters: Part = async (stage, { samples, signal }) => {
  const nodes = await stage.open(2, { name: 'external', entries: { item: itemEntry('external', stage.loads) } })
  const { client } = stage.postgres
  const write = async (id: number): Promise<number> =>
    (await client.query<{ n: number }>('update items set n = n + 1 where id = $1 returning n', [id])).rows[0]!.n
  const read = async (node: (typeof nodes)[number], id: number): Promise<number> => (await node.entries.item.get({ id }))!.n
  const hot = 50
  const [ages, waits]: [number[], number[]] = [[], []]
  let [stuck, missed] = [0, 0]
  /** Milliseconds after the commit's return in which a read still began that gave the old value. */
  const staleFor = async (node: (typeof nodes)[number], id: number, written: number, committedAt: number): Promise<number> => {
    let age = 0
    for (;;) {
      const beganAt = performance.now()
      if ((await read(node, id)) >= written) return age
      age = beganAt - committedAt
      if (age > stuckMs) {
        stuck++
        return age
      }
      await turnOfLoop()
    }
  }
  for (let i = 0; i < samples; i++) {
    signal.throwIfAborted()
    const id = i % hot
    for (const node of nodes) await read(node, id)
    const written = await write(id)
    const committedAt = performance.now()
    ages.push(...(await Promise.all(nodes.map((node) => staleFor(node, id, written, committedAt)))))
    await pause(Math.random() * 10)
  }
  for (let i = 0; i < samples; i++) {
    signal.throwIfAborted()
    const id = i % hot
    for (const node of nodes) await read(node, id)
    const written = await write(id)
    const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn() as lsn')
    const after = { epoch: nodes[0]!.position()!.epoch, number: parseLsn(rows[0]!.lsn) - 1n }
    for (const { entries } of nodes) {
      const beganAt = performance.now()
      const { n } = (await entries.item.get({ id }, { after }))!
      waits.push(performance.now() - beganAt)
      if (n < written) missed++
    }
  }
  for (const node of [...nodes].reverse()) await node.stop()
  for (const all of [ages, waits]) all.sort((a, b) => a - b)
  const [p50, p99] = [
    { name: 'cache-external-stale-p50-ms', values: [percentile(ages, 0.5)] },
    { name: 'cache-external-stale-p99-ms', values: [percentile(ages, 0.99)] },
  ] as const
  const [stuckKeys, withToken] = [
    { name: 'cache-external-stuck', values: [stuck] },
    { name: 'cache-external-stale-with-token', values: [missed] },
  ] as const
  return {
    figures: [
      { name: 'writers outside the cache, the old value after their commit', values: ages, unit: 'ms' },
      { name: 'a read with the token of such a write', values: waits, unit: 'ms' },
    ],
    measures: [
      p50,
      p99,
      stuckKeys,
      withToken,
      { name: 'cache-token-read-p50-ms', values: [percentile(waits, 0.5)] },
      { name: 'cache-token-read-p99-ms', values: [percentile(waits, 0.99)] },
    ],
    targets: [
      { measure: p99, what: '99 of 100 writes outside the cache seen within 50 ms', limit: 50 },
      { measure: stuckKeys, what: 'no key stays old', limit: 0 },
      { measure: withToken, what: 'no read with a token gives an old value', limit: 0 },
    ],
  }
}

const maxSilenceMs = 500
const silenceMs = 3000

/**
 * The feed is lost and nobody says so: the process of the server that sends the log is stopped for a while, while rows go on changing.
 * Gives nothing where that process is not of this machine, or belongs to another user.
 */
export const feedLost: Part = async (stage, { signal }) => {
  const { client } = stage.postgres
  const entries = { item: itemEntry('lost', stage.loads) }
  const nodes = await stage.open(2, { name: 'lost', entries, maxSilenceMs })
  const hot = 20
  /** Of each key: when which value was known to be committed. */
  const commits = Array.from({ length: hot }, () => [] as { readonly n: number; readonly atMs: number }[])
  const senders = await client.query<{ pid: number }>(
    `select active_pid as pid from pg_replication_slots where active and database = current_database()`,
  )
  let [worst, reads, isOver] = [0, 0, false]
  const write = async (): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const id = i % hot
      const { rows } = await client.query<{ n: number }>('update items set n = n + 1 where id = $1 returning n', [id])
      commits[id]!.push({ n: rows[0]!.n, atMs: performance.now() })
      await pause(2)
    }
  }
  const read = async (node: (typeof nodes)[number]): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const id = i % hot
      const beganAt = performance.now()
      const { n } = (await node.entries.item.get({ id }))!
      reads++
      const next = commits[id]!.find((commit) => commit.n > n)
      if (next && next.atMs < beganAt) worst = Math.max(worst, beganAt - next.atMs)
      await turnOfLoop()
    }
  }
  const stopped: number[] = []
  const tell = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    for (const { pid } of senders.rows) {
      process.kill(pid, name)
      stopped.push(pid)
    }
  }
  const working = Promise.all([write(), ...nodes.map(read)])
  try {
    await pause(500)
    tell('SIGSTOP')
    await pause(silenceMs)
  } catch {
    stopped.length = 0
  } finally {
    if (stopped.length > 0) tell('SIGCONT')
    isOver = true
    await working
    for (const node of [...nodes].reverse()) await node.stop()
  }
  signal.throwIfAborted()
  const measure = { name: 'cache-feed-lost-oldest-answer-ms', values: [worst] }
  const target = { what: 'without a feed no answer older than 600 ms', limit: 600 }
  if (stopped.length === 0) return { figures: [], measures: [], targets: [{ ...target, measure: undefined }] }
  return {
    figures: [
      { name: `feed lost, reads within ${silenceMs} ms`, values: [reads / 1000], unit: 'thousand' },
      { name: 'feed lost, the oldest answer', values: [worst], unit: 'ms' },
    ],
    measures: [measure],
    targets: [{ ...target, measure }],
  }
}
