// Changes of tables: from the commit to a client, and for many users whose policies differ.
import { percentile } from '../measuring/statistics.ts'
import { joinFrame, type Part, type PartReport, type RealtimeStage, userId } from './part.ts'
import type { Program } from './program.ts'
import type { CrowdCalls } from './words.ts'

const nowMs = (): number => performance.timeOrigin + performance.now()
const subscribed = 'Subscribed to PostgreSQL'
const counted = '"postgres_changes",{'
const everyMs = 10
const patienceMs = 120_000

const prepare = ({ postgres }: RealtimeStage, table: string, sql: string): Promise<unknown> =>
  postgres.client.query(`
    -- Whoever follows a table has to own it.
    set role tidemark_migrator;
    drop table if exists ${table};
    create table ${table} (id bigint generated always as identity primary key, user_id uuid, room integer, asked_at double precision, body text);
    grant select on ${table} to anon, authenticated;
    ${sql}
    alter publication supabase_realtime add table ${table};
    reset role`)

const listening = (table: string, event = '*'): object => ({ postgres_changes: [{ event, schema: 'public', table }] })

/** From the moment a commit is asked for to the frame at its client. */
export const commit: Part = (stage, { changes, signal }) =>
  stage.withCrowd(async (crowd) => {
    const { tidemark, postgres } = stage
    await prepare(stage, 'bench_commits', '')
    const greetings = [joinFrame('commits', listening('bench_commits'))]
    await crowd.ask('open', { port: tidemark.port, path: tidemark.path, count: 1, greetings, answer: subscribed, counted })
    const samples = Math.min(changes, 1000)
    const warmUps = 50
    const write = async (count: number) => {
      const commits: number[] = []
      const heard = crowd.ask('heard', { frames: count, timeoutMs: patienceMs })
      const begun = performance.now()
      for (let n = 0; n < count; n++) {
        signal.throwIfAborted()
        const dueMs = begun + n * everyMs - performance.now()
        if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs))
        const askedAt = nowMs()
        await postgres.client.query(`insert into bench_commits (asked_at, body) values ($1, 'paced')`, [askedAt])
        commits.push(nowMs() - askedAt)
      }
      // One client is told in the order of the commits.
      const { ages } = await heard
      return { ages, commits, rests: ages.map((age, index) => age - commits[index]!) }
    }
    await write(warmUps)
    const { ages: asHeard, commits, rests } = await write(samples)
    const ages = asHeard.toSorted((a, b) => a - b)
    const figuresOf = (name: string, values: readonly number[], what: string) => {
      const sorted = values.toSorted((a, b) => a - b)
      return [
        { name, values: [percentile(sorted, 0.5)], unit: `ms p50 ${what}` },
        { name: '', values: [percentile(sorted, 0.99)], unit: `ms p99 ${what}` },
      ]
    }
    const p50 = { name: 'realtime-commit-p50-ms', values: [percentile(ages, 0.5)] }
    const p99 = { name: 'realtime-commit-p99-ms', values: [percentile(ages, 0.99)] }
    return {
      figures: [
        ...figuresOf('one client', ages, 'from asking for the commit to the client'),
        ...figuresOf('', commits, 'of these until Postgres has answered'),
        ...figuresOf('', rests, 'from that answer to the client'),
      ],
      measures: [p50, p99],
      targets: [
        { measure: p50, what: 'from commit to one client at most 5 ms at the median', limit: 5 },
        { measure: p99, what: 'from commit to one client at most 20 ms at p99', limit: 20 },
      ],
    }
  })

interface Policies {
  readonly name: string
  readonly table: string
  readonly sql: string
  /** Who hears of each change. */
  readonly hearers: number
  readonly perSecond: number
  readonly maxBatchMs?: number
}

const rowsAtOnce = 25

/** The rows are those of one user after another; written as fast as they are taken. */
const write = async (
  { postgres }: RealtimeStage,
  { table, users, changes }: { table: string; users: number; changes: number },
) => {
  const sql = `
    insert into ${table} (user_id, room, asked_at, body)
    select ('00000000-0000-4000-8000-' || lpad(to_hex(u), 12, '0'))::uuid, u / 10, $3, 'written'
      from generate_series($1::int, $2::int) n, lateral (select n % ${users} as u) as of_user`
  for (let n = 0; n < changes; n += rowsAtOnce)
    await postgres.client.query(sql, [n, Math.min(changes, n + rowsAtOnce) - 1, nowMs()])
}

const metricOf = (text: string, name: string): number =>
  Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)

/** How long Postgres took at once: mean, and the bound below which 99 of 100 were. */
const batchesOf = (
  before: string,
  after: string,
): { readonly count: number; readonly meanMs: number; readonly p99Ms: number } => {
  const name = 'tidemark_realtime_policies_seconds'
  const grown = (suffix: string): number => metricOf(after, `${name}${suffix}`) - metricOf(before, `${name}${suffix}`)
  const count = grown('_count')
  const bounds = [...after.matchAll(/^tidemark_realtime_policies_seconds_bucket\{le="([^"]+)"\}/gm)].map(([, bound]) => bound!)
  const bound = bounds.find((each) => grown(`_bucket{le="${each}"}`) >= count * 0.99) ?? 'Infinity'
  return {
    count,
    meanMs: count === 0 ? 0 : (grown('_sum') / count) * 1000,
    p99Ms: Number(bound.replace('+Inf', 'Infinity')) * 1000,
  }
}

const measured = async (
  stage: RealtimeStage,
  crowd: Program<CrowdCalls>,
  { table, hearers }: Policies,
  { users, changes }: { readonly users: number; readonly changes: number },
) => {
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${stage.tidemark.port}/metrics`)).text()
  const before = await metrics()
  const heard = crowd.ask('heard', { frames: changes * hearers, timeoutMs: patienceMs })
  const startedAt = nowMs()
  await write(stage, { table, users, changes })
  const { lastAt, ages } = await heard
  return { perSecond: (changes / (lastAt - startedAt)) * 1000, ages, ...batchesOf(before, await metrics()) }
}

const underPolicies = async (
  stage: RealtimeStage,
  policies: Policies,
  { rounds, sockets, changes, signal }: Parameters<Part>[1],
): Promise<PartReport> =>
  stage.withCrowd(async (crowd) => {
    const { tidemark } = stage
    const { name, table, sql, perSecond, maxBatchMs } = policies
    const users = Math.max(10, sockets - (sockets % 10))
    await prepare(stage, table, sql.replaceAll('{users}', String(users)))
    await crowd.ask('open', {
      port: tidemark.port,
      path: tidemark.path,
      count: users,
      greetings: [joinFrame(`${table}-{n}`, listening(table), '{token}')],
      tokens: Array.from({ length: users }, (_, n) => stage.token(n)),
      answer: subscribed,
      counted,
    })
    // The first questions compile, and find the policies.
    await measured(stage, crowd, policies, { users, changes: Math.min(changes, 200) })
    const found: Awaited<ReturnType<typeof measured>>[] = []
    for (let round = 0; round < rounds; round++) {
      signal.throwIfAborted()
      found.push(await measured(stage, crowd, policies, { users, changes }))
    }
    const pace = { name: `realtime-${name}-changes-a-second`, values: found.map((each) => each.perSecond) }
    const batch = { name: `realtime-${name}-batch-p99-ms`, values: found.map(({ p99Ms }) => p99Ms) }
    const p50Ms = found.map(({ ages }) =>
      percentile(
        ages.toSorted((a, b) => a - b),
        0.5,
      ),
    )
    return {
      figures: [
        { name: `${users} users, ${name}`, values: pace.values, unit: 'changes a second' },
        { name: '', values: p50Ms, unit: 'ms from the commit at the median, all at once' },
        { name: '', values: found.map(({ count }) => count), unit: 'batches of questions to Postgres' },
        { name: '', values: found.map(({ meanMs }) => meanMs), unit: 'ms a batch' },
      ],
      measures: [pace, ...(maxBatchMs === undefined ? [] : [batch])],
      targets: [
        { measure: pace, what: `${name}: at least ${perSecond} changes a second`, limit: perSecond, bound: 'least' },
        ...(maxBatchMs === undefined
          ? []
          : [{ measure: batch, what: `${name}: 99 of 100 batches within ${maxBatchMs} ms`, limit: maxBatchMs }]),
      ],
    }
  })

/** `user_id = auth.uid()`: decided in memory. */
export const owners: Part = (stage, options) =>
  underPolicies(
    stage,
    {
      name: 'owners',
      table: 'bench_owned',
      hearers: 1,
      perSecond: 500,
      sql: `alter table bench_owned enable row level security;
        create policy own on bench_owned for select to authenticated using (user_id = auth.uid());`,
    },
    options,
  )

/** Ten users in each room: asked of Postgres. */
export const members: Part = (stage, options) =>
  underPolicies(
    stage,
    {
      name: 'members',
      table: 'bench_shared',
      hearers: 10,
      perSecond: 250,
      maxBatchMs: 200,
      sql: `drop table if exists bench_members;
        create table bench_members (room integer, user_id uuid, primary key (room, user_id));
        insert into bench_members select u / 10, ('${userId(0).slice(0, -12)}' || lpad(to_hex(u), 12, '0'))::uuid
          from generate_series(0, {users} - 1) u;
        grant select on bench_members to authenticated;
        alter table bench_shared enable row level security;
        create policy members on bench_shared for select to authenticated
          using (exists (select from bench_members m where m.room = bench_shared.room and m.user_id = auth.uid()));`,
    },
    options,
  )
