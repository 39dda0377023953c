import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { QueryClient } from '@tanstack/react-query'
import { act, cleanup, renderHook } from '@testing-library/react'
import { createElement, type ReactNode, StrictMode } from 'react'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { runCli } from '../../../tidemark/src/testing/project/cli-call.js'
import { until } from '../../../tidemark/src/time/until.js'
import { AgentSupabaseService } from '../agents/index.js'
import { useSupabaseAgent } from '../agents/react/index.js'
import { closePage, openPage } from '../testing/dom.js'
import { type TestClient, withLiveServer } from '../testing/live-server.js'
import type { TidemarkOptions } from '../tidemark.js'
import {
  TidemarkProvider,
  useChannel,
  useConnection,
  useHealth,
  useInfiniteRows,
  useLiveQuery,
  useMutation,
  usePresence,
  useRow,
} from './index.js'

const server = withLiveServer({
  migrations: fileURLToPath(new URL('../../../../apps/agents/migrations/', import.meta.url)),
  prepare: `
    create table notes (id bigint generated always as identity primary key, text text not null check (text <> 'bad'));
    grant select, insert, update, delete on notes to anon, authenticated;
    alter table notes enable row level security;
    create policy all_rows on notes using (true) with check (true);
    alter publication supabase_realtime add table notes`,
})

beforeAll(() => void openPage())
afterAll(closePage)
// Roots that testing-library has made are unmounted after each test.
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

/** Renders a hook as an application does, twice mounted as in development. */
const render = <T>(client: TestClient, hook: () => T) => {
  let renders = 0
  const counted = () => {
    renders += 1
    return hook()
  }
  const queryClient = new QueryClient()
  const wrapper = ({ children }: { readonly children: ReactNode }) =>
    createElement(StrictMode, null, createElement(TidemarkProvider, { client, queryClient }, children))
  const rendered = renderHook(counted, { wrapper })
  return { ...rendered, renders: () => renders, now: () => rendered.result.current }
}
/** Waits outside of React, as time passes for a page. */
const untilShown = (condition: () => boolean) => act(() => until(condition, { timeoutMs: 15_000 }))
const signedIn = async (options: TidemarkOptions = {}) => {
  const client = server.client(options)
  await client.supabase.auth.signInAnonymously()
  return client
}
const newAgent = (id: string) =>
  server.sql.query(`insert into agent_instances (agent_id, agent_type) values ($1, 'quiz_generator')`, [id])

describe('hooks', () => {
  test('StrictMode subscribes once, components share a channel, and nothing is told after the last has gone', async () => {
    const client = server.client({ lingerMs: 20 })
    await server.sql.query(`delete from notes; insert into notes (text) values ('a')`)
    const { now, unmount, renders } = render(
      client,
      () => [useLiveQuery('notes'), useLiveQuery('notes', {}), useRow('notes', -1), useConnection()] as const,
    )
    expect([now()[0].isLoading, now()[0].state, now()[2].row]).toEqual([true, 'connecting', undefined])
    await untilShown(() => now()[3] === 'live' && !now()[0].isLoading && now()[2].row !== undefined)
    expect(now()[0].rows).toEqual([{ id: expect.any(Number), text: 'a' }])
    expect(now()[1].rows).toBe(now()[0].rows)
    expect([now()[2].row, client.supabase.getChannels().length]).toEqual([null, 2])
    await act(() => server.sql.query(`insert into notes (text) values ('b')`))
    await untilShown(() => now()[0].rows.length === 2)
    unmount()
    const last = renders()
    await server.sql.query(`insert into notes (text) values ('c')`)
    await until(() => client.supabase.getChannels().length === 0)
    expect(renders()).toBe(last)
  })

  test('a page that nobody sees is told nothing, and catches up when somebody does', async () => {
    const page = openPage()
    const client = server.client({ hiddenMs: 0 })
    await server.sql.query('delete from notes')
    const { now } = render(client, () => useLiveQuery('notes'))
    await untilShown(() => now().state === 'live')
    const show = (visibility: string): void => {
      Object.defineProperty(page.document, 'visibilityState', { value: visibility, configurable: true })
      page.document.dispatchEvent(new page.Event('visibilitychange'))
    }
    show('hidden')
    await untilShown(() => client.supabase.getChannels().length === 0)
    await server.sql.query(`insert into notes (text) values ('unseen')`)
    expect(now().rows).toEqual([])
    show('visible')
    await untilShown(() => now().state === 'live' && now().rows.length === 1)
  })

  test('mutations show at once, and are taken back with the reason; pages are fetched and stay live', async () => {
    const client = server.client()
    await server.sql.query(`delete from notes; insert into notes (text) select 'n' || i from generate_series(1, 5) i`)
    const { now } = render(client, () => ({
      list: useInfiniteRows('notes', { order: { id: 'desc' }, pageSize: 2 }),
      add: useMutation('notes', 'insert'),
      change: useMutation('notes', 'update'),
      remove: useMutation('notes', 'delete'),
    }))
    const texts = () => now().list.rows.map((row) => row['text'])
    await untilShown(() => now().list.state === 'live')
    expect([texts(), now().list.hasNextPage]).toEqual([['n5', 'n4'], true])
    act(() => now().list.fetchNextPage())
    await untilShown(() => texts().length === 4)
    await act(async () => void now().add.mutate({ text: 'bad' }))
    await untilShown(() => now().add.isError)
    expect([now().add.error?.code, texts()]).toEqual(['23514', ['n5', 'n4', 'n3', 'n2']])
    await act(async () => void (await now().add.mutateAsync({ text: 'n6' })))
    // With its key: it is shown before the server has given it one.
    await untilShown(() => texts()[0] === 'n6' && now().list.rows[0]?.id !== undefined)
    const { id } = now().list.rows[0]!
    await act(async () => void (await now().change.mutateAsync({ key: { id }, values: { text: 'six' } })))
    await untilShown(() => texts()[0] === 'six')
    await act(async () => void (await now().remove.mutateAsync({ id })))
    await untilShown(() => texts()[0] === 'n5')
  })

  test('channels, presence and health', async () => {
    const [ann, bob] = [server.client(), server.client()]
    const heard: unknown[] = []
    const one = render(ann, () => ({
      channel: useChannel('room', { onMessage: (message) => void heard.push(message), presenceKey: 'ann' }),
      presence: usePresence('room', { name: 'Ann' }, { presenceKey: 'ann' }),
      health: useHealth(),
    }))
    const two = render(bob, () => ({
      channel: useChannel('room', { presenceKey: 'bob' }),
      presence: usePresence('room', { name: 'Bob' }),
    }))
    await untilShown(() => Object.keys(one.now().presence.present).length === 2)
    expect(one.now().presence.present).toMatchObject({ ann: [{ name: 'Ann' }], bob: [{ name: 'Bob' }] })
    await act(async () => void (await two.now().channel.send('typing', { by: 'bob' })))
    await untilShown(() => heard.length === 1)
    two.unmount()
    await untilShown(() => Object.keys(one.now().presence.present).join() === 'ann')
    await untilShown(() => one.now().health.health !== undefined)
    expect(one.now().health).toMatchObject({
      isReachable: true,
      health: { status: expect.any(String), database: expect.any(String) },
    })
  })
})

describe('S5.11, R109: useSupabaseAgent', () => {
  test('loads, is told of changes, refreshes every 30 seconds, and ends with the component', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const client = await signedIn({ lingerMs: 20 })
    await newAgent('quiz-1')
    const { now, unmount, renders } = render(client, () => useSupabaseAgent({ enableRealtime: true, refreshInterval: 30_000 }))
    expect(now()).toMatchObject({ agents: [], executions: [], metrics: [], loading: true, error: null })
    await untilShown(() => !now().loading)
    expect(now().agents.map(({ agent_id, status }) => [agent_id, status])).toEqual([['quiz-1', 'initializing']])
    await untilShown(() => client.connection === 'live')
    expect(client.supabase.getChannels()).toHaveLength(2)

    await server.sql.query(`update agent_instances set status = 'idle' where agent_id = 'quiz-1'`)
    await untilShown(() => now().agents[0]?.status === 'idle')

    await server.sql.query(`
      insert into agent_metrics (agent_instance_id, agent_type, period_start, period_end, tasks_completed)
      select id, agent_type, now() - interval '1 hour', now(), 7 from agent_instances where agent_id = 'quiz-1'`)
    act(() => void vi.advanceTimersByTime(29_999))
    expect(now().metrics).toEqual([])
    act(() => void vi.advanceTimersByTime(1))
    await untilShown(() => now().metrics[0]?.tasks_completed === 7)

    unmount()
    const last = renders()
    await until(() => client.supabase.getChannels().length === 0)
    await server.sql.query(`update agent_instances set status = 'busy' where agent_id = 'quiz-1'`)
    vi.advanceTimersByTime(60_000)
    await until(() => server.sql.query('select 1').then(() => true))
    expect(renders()).toBe(last)
  })

  test('without realtime it only refreshes; whoever may see nothing gets nothing, and an error is told', async () => {
    const client = server.client()
    const { now } = render(client, () => useSupabaseAgent({ enableRealtime: false }))
    await untilShown(() => !now().loading)
    expect([now().agents, now().error, client.supabase.getChannels().length]).toEqual([[], null, 0])
    await act(async () => void (await client.supabase.auth.signInAnonymously()))
    await act(() => now().actions.refresh())
    await untilShown(() => now().agents.length > 0)
    const { data } = await client.supabase.auth.getUser()
    await server.sql.query(
      `insert into agent_executions (task_id, agent_type, task_type, user_id) values ('of one', 'quiz_generator', 'quiz', $1)`,
      [data.user!.id],
    )
    await act(() => now().actions.refreshExecutions())
    await untilShown(() => now().executions.length === 1)
    // Another does not see what was one's own, and need not wait for a refresh.
    await act(async () => void (await client.supabase.auth.signOut()))
    await untilShown(() => now().executions.length === 0 && now().agents.length === 0)
    await act(async () => void (await client.supabase.auth.signInAnonymously()))
    await untilShown(() => now().agents.length > 0)
    expect(now().executions).toEqual([])
    await server.sql.query('revoke select on agent_metrics from authenticated')
    await act(() => now().actions.refreshMetrics())
    await untilShown(() => now().error !== null)
    expect(now().error?.message).toContain('agent_metrics')
    await server.sql.query('grant select on agent_metrics to authenticated')
  })
})

describe('R108: AgentSupabaseService', () => {
  test('C66: reads what there is, and of an agent that nobody knows nothing', async () => {
    const client = await signedIn()
    const { data } = await client.supabase.auth.getUser()
    AgentSupabaseService.use(client)
    await newAgent('reader-1')
    await server.sql.query(
      `insert into agent_executions (task_id, agent_instance_id, agent_type, task_type, user_id)
         select 'task-' || n, id, agent_type, 'quiz', $1 from agent_instances, generate_series(1, 3) n where agent_id = 'reader-1'`,
      [data.user!.id],
    )
    await server.sql.query(
      `insert into agent_executions (task_id, agent_type, task_type, user_id) values ('loose', 'quiz_generator', 'quiz', $1)`,
      [data.user!.id],
    )
    await server.sql.query(`insert into system_health (status) values ('healthy')`)
    expect((await AgentSupabaseService.getAgentInstances()).map(({ agent_id }) => agent_id)).toContain('reader-1')
    expect(await AgentSupabaseService.getAgentExecutions()).toHaveLength(4)
    const own = await AgentSupabaseService.getAgentExecutions('reader-1', 2)
    expect(own).toHaveLength(2)
    expect(own[0]).toMatchObject({ agent_type: 'quiz_generator', task_type: 'quiz' })
    expect(own[0]).not.toHaveProperty('agent_instances')
    expect(await AgentSupabaseService.getAgentExecutions('nobody')).toEqual([])
    expect(await AgentSupabaseService.getAgentMetrics('quiz-1', 24)).toMatchObject([{ tasks_completed: 7 }])
    expect(await AgentSupabaseService.getAgentMetrics('nobody')).toEqual([])
    expect(await AgentSupabaseService.getSystemHealth(1)).toMatchObject([{ status: 'healthy' }])
  })

  test('C60: tells each change once, over lost connections too, until it is unsubscribed', async () => {
    const client = await signedIn()
    AgentSupabaseService.use(client)
    const told: unknown[] = []
    const health: string[] = []
    const subscription = AgentSupabaseService.subscribeToAgentUpdates(({ eventType, new: row, old }) => {
      told.push([eventType, row.status ?? old.id])
    })
    const other = AgentSupabaseService.subscribeToSystemHealth(({ new: row }) => void health.push(String(row.status)))
    await until(() => client.supabase.getChannels().every(({ state }) => state === 'joined'))
    await newAgent('told-1')
    await until(() => told.length === 1)
    client.line(false)
    await server.sql.query(`update agent_instances set status = 'idle' where agent_id = 'told-1'`)
    await server.sql.query(`update agent_instances set status = 'busy' where agent_id = 'told-1'`)
    client.line(true)
    await until(() => told.length === 3)
    await server.sql.query(`insert into system_health (status) values ('degraded')`)
    await until(() => health.length === 1)
    subscription?.unsubscribe()
    await server.sql.query(
      `delete from agent_instances where agent_id = 'told-1'; insert into system_health (status) values ('healthy')`,
    )
    await until(() => health.length === 2)
    other.unsubscribe()
    expect([told, health]).toEqual([
      [
        ['INSERT', 'initializing'],
        ['UPDATE', 'idle'],
        ['UPDATE', 'busy'],
      ],
      ['degraded', 'healthy'],
    ])
  })
})

test('C66: the types of the agents are those of their tables', async () => {
  await server.sql.query('drop table notes')
  const { stdout } = await runCli(['schema', 'types'], { cwd: server.dir })
  const kept = await readFile(new URL('../agents/database.ts', import.meta.url), 'utf8')
  // The second line is the first that the command wrote.
  const plain = (text: string) => text.replaceAll(/[\s,;|]+/g, ' ').trim()
  expect(plain(kept.slice(kept.indexOf('\n')))).toBe(plain(stdout))
})
