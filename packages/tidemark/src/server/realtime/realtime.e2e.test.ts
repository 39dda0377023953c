import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { runCli } from '../../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../../testing/project/cli-process.js'
import { createPreparedProject } from '../../testing/project/prepared-project.js'
import { until } from '../../time/until.js'
import type { ProjectStatus } from '../operations/status.js'

describe('/realtime/v1 of a server on embedded parts', () => {
  let dir: string
  let remove: () => Promise<void>
  let server: CliProcess
  let url: string
  let status: ProjectStatus

  const start = async (env: Record<string, string> = {}) => {
    server = startCli(['start', '--json'], { cwd: dir, env: { PORT: '0', ...env } })
    url = await untilServing(server)
  }
  const stop = async () => {
    server.child.kill('SIGTERM')
    await server.ended
  }

  beforeAll(async () => {
    const folder = await createPreparedProject()
    dir = folder.dir
    remove = folder.remove
    await start()
    status = JSON.parse((await runCli(['status', '--json'], { cwd: dir })).stdout)
  })
  afterAll(async () => {
    await stop()
    await remove()
  })

  test('clients talk to each other, over sockets and over HTTP, and are told when the server ends', async () => {
    const client = () =>
      createClient(url, status.keys.anon, {
        auth: { persistSession: false, autoRefreshToken: false },
        realtime: { transport: WebSocket as never },
      })
    const [one, two] = [client(), client()]
    const heard: unknown[] = []
    const statuses: string[] = []
    const channel = one.channel('room').on('broadcast', { event: 'hello' }, ({ payload }) => void heard.push(payload))
    channel.subscribe((told) => void statuses.push(told))
    await until(() => statuses[0] === 'SUBSCRIBED')
    await two.channel('room').httpSend('hello', { from: 'two' })
    await until(() => heard.length === 1)
    expect(heard).toEqual([{ from: 'two' }])
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ components: { realtime: { critical: false } } })
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('tidemark_realtime_connections{protocol="supabase"} 1')
    await stop()
    await until(() => statuses.at(-1) === 'CHANNEL_ERROR')
    expect(server.stderr).not.toMatch(/"level":"(error|warn)"[^\n]*"component":"realtime/)
    await Promise.all([one, two].map((each) => each.realtime.disconnect()))
    await start()
  })

  test('R64: SUPABASE_ENABLE_REALTIME=false turns it off', async () => {
    expect((await fetch(`${url}/realtime/v1/websocket`)).status).toBe(426)
    await stop()
    await start({ SUPABASE_ENABLE_REALTIME: 'false' })
    expect((await fetch(`${url}/realtime/v1/websocket`)).status).toBe(404)
  })
})
