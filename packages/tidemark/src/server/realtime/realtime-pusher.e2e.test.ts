import Api from 'pusher'
import type { Channel, PresenceChannel } from 'pusher-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { heard } from '../../realtime/protocols/pusher/testing/heard.js'
import { type Client, PusherJs } from '../../realtime/protocols/pusher/testing/pusher-node.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import { runCli } from '../../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../../testing/project/cli-process.js'
import { createPreparedProject } from '../../testing/project/prepared-project.js'
import { until } from '../../time/until.js'
import type { ProjectStatus } from '../operations/status.js'

const program = await findRedisServer()

describe.skipIf(program === undefined)('Pusher over two servers of one project', () => {
  let folder: Awaited<ReturnType<typeof createPreparedProject>>
  const servers: CliProcess[] = []
  const clients: Client[] = []
  const urls: string[] = []
  let pusher: NonNullable<ProjectStatus['pusher']>
  let admin: string

  const serve = async (command: string): Promise<void> => {
    const server = startCli([command, '--json'], { cwd: folder.dir, env: { PORT: '0' } })
    servers.push(server)
    urls.push(await untilServing(server))
  }

  const api = (url: string): Api =>
    new Api({ appId: pusher.appId, key: pusher.key, secret: pusher.secret, host: '127.0.0.1', port: new URL(url).port })

  const connect = async (url: string): Promise<Client> => {
    const client = new PusherJs(pusher.key, {
      cluster: 'none',
      wsHost: '127.0.0.1',
      wsPort: Number(new URL(url).port),
      forceTLS: false,
      enabledTransports: ['ws'],
      channelAuthorization: {
        transport: 'ajax',
        endpoint: '',
        customHandler: ({ channelName, socketId }, callback) =>
          callback(null, api(url).authorizeChannel(socketId, channelName, { user_id: socketId }) as never),
      },
    })
    clients.push(client)
    await heard(client.connection, 'connected')
    return client
  }

  const subscribe = async (client: Client, name: string): Promise<Channel> => {
    const channel = client.subscribe(name)
    await heard(channel, 'pusher:subscription_succeeded')
    return channel
  }

  beforeAll(async () => {
    folder = await createPreparedProject()
    await serve('dev')
    await serve('start')
    const shown = JSON.parse((await runCli(['status', '--json', '--show-keys'], { cwd: folder.dir })).stdout) as ProjectStatus
    pusher = shown.pusher!
    admin = shown.admin.token
  })

  afterAll(async () => {
    for (const client of clients) client.disconnect()
    for (const server of servers.reverse()) {
      server.child.kill('SIGTERM')
      await server.ended
    }
    await folder.remove()
  })

  test('SEC-2: the status shows the app, and its secret only when it is asked for', async () => {
    const hidden = await (await fetch(`${urls[0]}/admin/v1/status`, { headers: { authorization: `Bearer ${admin}` } })).json()
    expect((hidden as ProjectStatus).pusher).toEqual({ ...pusher, secret: '***' })
    expect(pusher.appId).toMatch(/^\d+$/)
  })

  test('R59 what is triggered at one server is heard at the other, and both count the same', async () => {
    const channel = await subscribe(await connect(urls[0]!), 'tasks')
    const event = heard(channel, 'task_created')
    const answer = await api(urls[1]!).trigger('tasks', 'task_created', { id: 7 })
    expect([answer.status, await answer.json()]).toEqual([200, {}])
    expect(await event).toEqual({ id: 7 })
    await until(async () => {
      const shown = await api(urls[1]!).get({ path: '/channels' })
      return 'tasks' in ((await shown.json()) as { channels: object }).channels
    })
    const refused = await fetch(`${urls[0]}/apps/${pusher.appId}/channels`)
    expect([refused.status, await refused.text()]).toEqual([401, 'Unknown auth_key'])
    const health = (await (await fetch(`${urls[0]}/health`)).json()) as { components: Record<string, { status: string }> }
    expect(health.components['broadcast']?.status).toBe('up')
  })

  test('R107 who was present through a server that is killed leaves, once, within seconds', async () => {
    const room = (await subscribe(await connect(urls[0]!), 'presence-room')) as PresenceChannel
    const left: unknown[] = []
    room.bind('pusher:member_removed', (member: unknown) => left.push(member))
    const other = await connect(urls[1]!)
    const added = heard<{ id: string }>(room, 'pusher:member_added')
    const theirs = (await subscribe(other, 'presence-room')) as PresenceChannel
    expect((await added).id).toBe(other.connection.socket_id)
    expect(theirs.members.count).toBe(2)
    const gone = other.connection.socket_id
    servers[1]!.child.kill('SIGKILL')
    await until(() => left.length > 0, { timeoutMs: 15_000 })
    expect(left).toEqual([expect.objectContaining({ id: gone })])
    expect(room.members.count).toBe(1)
  })
})
