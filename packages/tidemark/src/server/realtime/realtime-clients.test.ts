import type { RealtimeChannel, RealtimeClientOptions, SupabaseClient } from '@supabase/supabase-js'
import { describe, expect, test } from 'vitest'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { openRealtimeServer, publishableKey, type RealtimeServerOptions } from '../testing/use-realtime-server.js'

const cleanups = useCleanups()
const open = (options?: RealtimeServerOptions) => openRealtimeServer(cleanups, options)

type Told = { readonly status: string; readonly error?: string | undefined }

/** Joins, and gives what the client's callback was told. */
const join = async (channel: RealtimeChannel, statuses: Told[] = []): Promise<Told[]> => {
  channel.subscribe((status, error) => void statuses.push({ status, error: error?.message }))
  await until(() => statuses.length > 0)
  return statuses
}

const subscribed = async (channel: RealtimeChannel): Promise<RealtimeChannel> => {
  expect(await join(channel)).toEqual([{ status: 'SUBSCRIBED', error: undefined }])
  return channel
}

/** As if the line had broken. */
const cut = ({ realtime }: SupabaseClient): void =>
  (realtime as unknown as { socketAdapter: { socket: { conn: { terminate(): void } } } }).socketAdapter.socket.conn.terminate()

/** What the server said about the channel. */
const systemOf = (channel: RealtimeChannel): Record<string, unknown>[] => {
  const heard: Record<string, unknown>[] = []
  channel.on('system' as never, {} as never, (message: Record<string, unknown>) => void heard.push(message))
  return heard
}

const broadcastsOf = (channel: RealtimeChannel, event = '*'): Record<string, unknown>[] => {
  const heard: Record<string, unknown>[] = []
  channel.on('broadcast', { event }, (message) => void heard.push(message))
  return heard
}

const versions: readonly [string, RealtimeClientOptions][] = [
  ['1.0.0', { vsn: '1.0.0' }],
  ['2.0.0', { vsn: '2.0.0' }],
]

describe.each(versions)('supabase-js with protocol %s', (vsn, options) => {
  test('is told of the changes that it asked for, in their order, each with what it matches', async () => {
    const { client, changes } = await open()
    const channel = client(options).channel('room')
    const [all, mine, gone]: [unknown[], unknown[], unknown[]] = [[], [], []]
    const system = systemOf(channel)
    channel
      .on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, (change) => void all.push(change))
      .on(
        'postgres_changes',
        { event: 'INSERT', schema: 'public', table: 'todos', filter: 'owner=eq.ann' },
        (c) => void mine.push(c.new),
      )
      .on('postgres_changes', { event: 'DELETE', schema: 'public' }, (change) => void gone.push(change.old))
    await subscribed(channel)
    await until(() => system.length === 1)
    expect(system[0]).toEqual({
      channel: 'room',
      extension: 'postgres_changes',
      status: 'ok',
      message: 'Subscribed to PostgreSQL',
    })
    changes.commit(['INSERT', 'todos', { id: 1, owner: 'ann' }], ['INSERT', 'rooms', { id: 7 }])
    changes.commit(['UPDATE', 'todos', { id: 1, owner: 'bob' }, { id: 1 }], ['DELETE', 'todos', { id: 1 }])
    changes.commit(['DELETE', 'rooms', { id: 7 }])
    await until(() => gone.length === 2)
    const common = { schema: 'public', table: 'todos', commit_timestamp: '2024-01-01T12:30:00.123Z', errors: null }
    expect(all).toEqual([
      { ...common, eventType: 'INSERT', new: { id: 1, owner: 'ann' }, old: {} },
      { ...common, eventType: 'UPDATE', new: { id: 1, owner: 'bob' }, old: { id: 1 } },
      { ...common, eventType: 'DELETE', new: {}, old: { id: 1 } },
    ])
    expect(mine).toEqual([{ id: 1, owner: 'ann' }])
    expect(gone).toEqual([{ id: 1 }, { id: 7 }])
  })

  test('is SUBSCRIBED only when it is fixed from where on it is told', async () => {
    const { client, changes } = await open()
    const free = changes.hold()
    const channel = client(options).channel('room')
    const heard: unknown[] = []
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, (change) => void heard.push(change.new))
    const statuses: Told[] = []
    const joining = join(channel, statuses)
    await client(options).channel('other').httpSend('wait', {})
    expect(statuses).toEqual([])
    free()
    expect(await joining).toEqual([{ status: 'SUBSCRIBED', error: undefined }])
    changes.commit(['INSERT', 'todos', { id: 1 }])
    await until(() => heard.length === 1)
  })

  test('hears why its changes cannot be told, and the rest of its channel goes on', async () => {
    const { client } = await open()
    const channel = client(options).channel('room', { config: { broadcast: { self: true } } })
    const system = systemOf(channel)
    const heard = broadcastsOf(channel)
    channel.on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'nothing', filter: 'id=eq.1' }, () => undefined)
    await subscribed(channel)
    await until(() => system.length === 1)
    expect(system[0]).toMatchObject({
      extension: 'postgres_changes',
      status: 'error',
      message:
        'Unable to subscribe to changes with given parameters. Please check Realtime is enabled for the given connect parameters: [event: INSERT, schema: public, table: nothing, filters: id=eq.1, select: nil]. There is no table nothing',
    })
    await channel.send({ type: 'broadcast', event: 'still', payload: { here: true } })
    await until(() => heard.length === 1)
  })

  test('a gap is announced, and then changes go on', async () => {
    const { client, changes } = await open()
    const channel = client(options).channel('room')
    const system = systemOf(channel)
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, () => undefined)
    await subscribed(channel)
    changes.gap({ reason: 'tableChanged', table: 'public.todos', message: 'public.todos was emptied' })
    await until(() => system.length === 3)
    expect(system[1]).toEqual({
      channel: 'room',
      extension: 'postgres_changes',
      status: 'error',
      message: 'Changes may be missing, fetch again what you show: public.todos was emptied',
      gap: { reason: 'tableChanged', table: 'public.todos', position: 'memory-1:64' },
    })
    expect(system[2]).toMatchObject({ extension: 'postgres_changes', status: 'ok' })
  })

  test('a channel whose changes fail errs and is joined again', async () => {
    const { client, changes } = await open()
    const channel = client({ ...options, reconnectAfterMs: () => 10 }).channel('room')
    const system = systemOf(channel)
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, () => undefined)
    const statuses = await join(channel)
    changes.fail('A policy of public.todos raises')
    await until(() => statuses.length >= 3)
    expect(statuses.map(({ status }) => status).slice(0, 3)).toEqual(['SUBSCRIBED', 'CHANNEL_ERROR', 'SUBSCRIBED'])
    expect(system).toContainEqual(expect.objectContaining({ status: 'error', message: 'A policy of public.todos raises' }))
    expect(changes.listeners.map(({ closed }) => closed)).toEqual(['mayReturn', false])
    expect(changes.listeners[1]?.options.returning).toBe(true)
  })

  test('broadcasts reach others, the sender where it asks for it, and are acknowledged where asked for', async () => {
    const { client } = await open()
    const [one, two, three] = [client(options), client(options), client(options)]
    const sender = one.channel('room', { config: { broadcast: { ack: true } } })
    const echo = two.channel('room', { config: { broadcast: { self: true } } })
    const elsewhere = three.channel('other')
    const [atSender, atEcho, there] = [sender, echo, elsewhere].map((channel) => broadcastsOf(channel))
    const named = broadcastsOf(echo, 'moved')
    await Promise.all([sender, echo, elsewhere].map(subscribed))
    expect(await sender.send({ type: 'broadcast', event: 'moved', payload: { x: 1, text: 'päth ✓', list: [1, null] } })).toBe(
      'ok',
    )
    await echo.send({ type: 'broadcast', event: 'typed', payload: { y: 2 } })
    await until(() => atSender?.length === 1 && atEcho?.length === 2)
    const first = { type: 'broadcast', event: 'moved', payload: { x: 1, text: 'päth ✓', list: [1, null] } }
    expect(atEcho).toEqual([first, { type: 'broadcast', event: 'typed', payload: { y: 2 } }])
    expect(named).toEqual([first])
    expect(atSender).toEqual([{ type: 'broadcast', event: 'typed', payload: { y: 2 } }])
    expect(there).toEqual([])
  })

  test('broadcasts of one sender keep their order', async () => {
    const { client } = await open({ limits: { eventsPerSecond: 1000 } })
    const [sender, receiver] = [client(options).channel('room'), client(options).channel('room')]
    const heard = broadcastsOf(receiver)
    await Promise.all([sender, receiver].map(subscribed))
    for (let seq = 0; seq < 300; seq++) await sender.send({ type: 'broadcast', event: 'tick', payload: { seq } })
    await until(() => heard.length === 300)
    expect(heard.map(({ payload }) => (payload as { seq: number }).seq)).toEqual(Array.from({ length: 300 }, (_, seq) => seq))
  })

  test('broadcasts of who has no socket: over HTTP, explicitly and as a fallback', async () => {
    const { client } = await open()
    const topic = `räum ${'x'.repeat(150)}/ü:1`
    const receiver = client(options).channel(topic)
    const heard = broadcastsOf(receiver)
    await subscribed(receiver)
    const outside = client(options).channel(topic)
    expect(await outside.httpSend('an event/ü', { a: 1 })).toEqual({ success: true })
    expect(await outside.send({ type: 'broadcast', event: 'fallback', payload: { b: 2 } })).toBe('ok')
    await until(() => heard.length === 2)
    expect(heard).toEqual([
      { type: 'broadcast', event: 'an event/ü', payload: { a: 1 } },
      { type: 'broadcast', event: 'fallback', payload: { b: 2 } },
    ])
  })

  test('presence: who is there, who comes, changes and goes, on all connections', async () => {
    const { client, hub } = await open()
    const [ann, bob] = [client(options), client(options)]
    const config = (key: string) => ({ config: { presence: { key } } })
    const [atAnn, atBob] = [ann.channel('room', config('ann')), bob.channel('room', config('bob'))]
    const seen: string[] = []
    atAnn
      .on('presence', { event: 'sync' }, () => void seen.push('sync'))
      .on('presence', { event: 'join' }, ({ key, newPresences }) => void seen.push(`${key} joins ${newPresences[0]?.['at']}`))
      .on('presence', { event: 'leave' }, ({ key, leftPresences }) => void seen.push(`${key} leaves ${leftPresences[0]?.['at']}`))
    atBob.on('presence', { event: 'sync' }, () => undefined)
    await subscribed(atAnn)
    expect(await atAnn.track({ at: 1 })).toBe('ok')
    await subscribed(atBob)
    await until(() => atBob.presenceState()['ann'] !== undefined)
    expect(await atBob.track({ at: 2 })).toBe('ok')
    expect(await atBob.track({ at: 2 })).toBe('ok')
    expect(await atBob.track({ at: 3 })).toBe('ok')
    await until(() => seen.includes('bob joins 3') && seen.includes('bob leaves 2'))
    expect(atAnn.presenceState()).toEqual({
      ann: [{ at: 1, presence_ref: expect.any(String) }],
      bob: [{ at: 3, presence_ref: expect.any(String) }],
    })
    expect(seen.filter((line) => line !== 'sync')).toEqual(['ann joins 1', 'bob joins 2', 'bob leaves 2', 'bob joins 3'])
    bob.realtime.disconnect()
    await until(() => seen.includes('bob leaves 3'))
    expect(Object.keys(atAnn.presenceState())).toEqual(['ann'])
    expect(await atAnn.untrack()).toBe('ok')
    await until(() => Object.keys(atAnn.presenceState()).length === 0)
    await until(() => hub.connections('supabase') === 1)
  })

  test('who tracks without having listened for presence is told of the others', async () => {
    const { client } = await open()
    const [ann, bob] = [client(options).channel('room'), client(options).channel('room')]
    ann.on('presence', { event: 'sync' }, () => undefined)
    await Promise.all([ann, bob].map(subscribed))
    await bob.track({ name: 'bob' })
    await until(() => Object.keys(ann.presenceState()).length === 1)
  })

  test('presence has its limits', async () => {
    const { client } = await open()
    const channel = client(options).channel('room')
    const system = systemOf(channel)
    const statuses = await join(channel)
    expect(await channel.track('no map' as never)).toBe('error')
    for (let index = 0; index < 4; index++) expect(await channel.track({ index })).toBe('ok')
    void channel.track({ index: 5 })
    await until(() => statuses.length === 2)
    expect(system).toEqual([
      { channel: 'room', extension: 'system', status: 'error', message: 'Client presence rate limit exceeded' },
    ])
    expect(statuses[1]?.status).toBe('CLOSED')
  })

  test('a private channel is what its policies make of it', async () => {
    const { client, messages, token } = await open()
    const supabase = client(options)
    await supabase.realtime.setAuth(await token({ role: 'authenticated', sub: 'ann' }))
    const config = { private: true, broadcast: { ack: true } }
    const [closed, readOnly, all] = ['closed', 'read-1', 'open-1'].map((name) => supabase.channel(name, { config }))
    const refused = await join(closed!)
    expect(refused[0]).toEqual({
      status: 'CHANNEL_ERROR',
      error: 'Unauthorized: You do not have permissions to read from this Channel topic: closed',
    })
    await subscribed(readOnly!)
    await subscribed(all!)
    expect(await readOnly!.send({ type: 'broadcast', event: 'x', payload: {} })).toBe('error')
    expect(await all!.send({ type: 'broadcast', event: 'x', payload: {} })).toBe('ok')
    expect(await readOnly!.track({})).toBe('error')
    expect(messages.asked.find(({ topic }) => topic === 'open-1')?.caller).toMatchObject({ role: 'authenticated' })
  })

  test('a private and a public channel of one name have nothing in common', async () => {
    const { client } = await open()
    const [hidden, shown] = [client(options).channel('open', { config: { private: true } }), client(options).channel('open')]
    const [atHidden, atShown] = [hidden, shown].map((channel) => broadcastsOf(channel))
    await Promise.all([hidden, shown].map(subscribed))
    await client(options).channel('open').httpSend('public', {})
    await client(options)
      .channel('open', { config: { private: true } })
      .httpSend('private', {})
    await until(() => atHidden?.length === 1 && atShown?.length === 1)
    expect([atHidden?.[0]?.['event'], atShown?.[0]?.['event']]).toEqual(['private', 'public'])
    const outsider = client(options).channel('read-only', { config: { private: true } })
    await expect(outsider.httpSend('x', {})).rejects.toThrow('Unauthorized')
  })

  test('broadcast from the database reaches its channel, and is replayed to who asks', async () => {
    const { client, messages } = await open()
    const config = { private: true, broadcast: { replication_ready: true } as object }
    const channel = client(options).channel('open-room', { config })
    const system = systemOf(channel)
    const heard = broadcastsOf(channel)
    await subscribed(channel)
    await until(() => system.length === 1)
    expect(system[0]).toMatchObject({ extension: 'system', status: 'ok', message: 'Replication connection established' })
    const message = { topic: 'open-room', event: 'INSERT', private: true, payload: { kind: 'json', text: '{"a": 1}' } } as const
    messages.send({ ...message, id: 'one' })
    messages.send({ ...message, id: 'two', private: false })
    messages.send({ ...message, id: 'three', topic: 'elsewhere' })
    messages.send({ ...message, id: 'four' })
    await until(() => heard.length === 2)
    expect(heard).toEqual(['one', 'four'].map((id) => ({ type: 'broadcast', event: 'INSERT', payload: { a: 1 }, meta: { id } })))
    const replaying = client(options).channel('open-room', {
      config: { private: true, broadcast: { replay: { since: 0, limit: 2 } } },
    })
    const again = broadcastsOf(replaying)
    await subscribed(replaying)
    messages.send({ ...message, id: 'five' })
    await until(() => again.length === 3)
    expect(again.map(({ meta }) => meta)).toEqual([{ id: 'two', replayed: true }, { id: 'four', replayed: true }, { id: 'five' }])
    messages.gap()
    await until(() => system.length === 2)
    expect(system[1]).toMatchObject({ extension: 'broadcast', status: 'error' })
  })

  test('replay is refused for what it is not meant for', async () => {
    const { client } = await open()
    const config = { private: true, broadcast: { replay: { since: 'yesterday' } as never } }
    const refused = await join(client(options).channel('open', { config }))
    expect(refused[0]?.error).toBe('UnableToReplayMessages: Replay params are not valid')
  })

  test('a new token counts from then on, and one that opens nothing ends the channel', async () => {
    const { client, changes, messages, token } = await open()
    const supabase = client(options)
    const channel = supabase.channel('open', { config: { private: true } })
    const system = systemOf(channel)
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, () => undefined)
    const statuses = await join(channel)
    expect(changes.listeners[0]?.caller.role).toBe('anon')
    await supabase.realtime.setAuth(await token({ role: 'authenticated', sub: 'ann' }))
    await until(() => changes.listeners[0]?.caller.role === 'authenticated')
    expect(messages.asked.at(-1)).toMatchObject({ topic: 'open', caller: { role: 'authenticated', claims: { sub: 'ann' } } })
    await supabase.realtime.setAuth('not.a.token')
    await until(() => statuses.at(-1)?.status === 'CLOSED')
    expect(system.at(-1)).toMatchObject({
      extension: 'system',
      status: 'error',
      message: 'The token provided is not a valid JWT',
    })
    expect(changes.listeners[0]?.closed).toBe('ended')
  })

  test('rights that a new token has lost end the channel; changes that it may not read end alone', async () => {
    const { client, changes, messages, token } = await open()
    const supabase = client(options)
    const [hidden, shown] = [supabase.channel('open', { config: { private: true } }), supabase.channel('shown')]
    const [atHidden, atShown] = [systemOf(hidden), systemOf(shown)]
    shown.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, () => undefined)
    await Promise.all([hidden, shown].map(subscribed))
    messages.close('open')
    changes.forbid('todos')
    await supabase.realtime.setAuth(await token({ role: 'authenticated', sub: 'ann' }))
    await until(() => atHidden.length === 1 && atShown.length === 2)
    expect(atHidden[0]?.['message']).toBe('You do not have permissions to read from this Channel topic: open')
    expect(atShown[1]).toMatchObject({ status: 'error', message: expect.stringContaining('Nothing of todos may be read') })
    expect(changes.listeners[0]?.closed).toBe('ended')
    expect(shown.state).toBe('joined')
  })

  test('the end of a token is the end of its channels', async () => {
    const { client, token } = await open()
    const supabase = client(options)
    await supabase.realtime.setAuth(await token({ role: 'authenticated', sub: 'ann' }, '2s'))
    const channel = supabase.channel('room')
    const system = systemOf(channel)
    const statuses = await join(channel)
    await until(() => statuses.at(-1)?.status === 'CLOSED')
    expect(system[0]?.['message']).toMatch(/^Token has expired \d seconds ago$/)
    const late = await join(supabase.channel('late'))
    expect(late[0]?.error).toMatch(/^InvalidJWTToken: Token has expired \d+ seconds ago$/)
  })

  test('an opaque key is the anonymous role, also where it stands for a token', async () => {
    const { client, changes } = await open()
    const channel = client(options, publishableKey).channel('room')
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, () => undefined)
    await subscribed(channel)
    expect(changes.listeners[0]?.caller).toEqual({ role: 'anon', claims: { role: 'anon' } })
  })

  test('a channel that is left can be joined again', async () => {
    const { client, changes } = await open()
    const supabase = client(options)
    const channel = supabase.channel('room')
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, () => undefined)
    const statuses = await join(channel)
    expect(await supabase.removeChannel(channel)).toBe('ok')
    expect(statuses.at(-1)?.status).toBe('CLOSED')
    await until(() => changes.listeners[0]?.closed === 'ended')
    const again = supabase.channel('room')
    again.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, () => undefined)
    await subscribed(again)
    expect(changes.listeners[1]?.options.returning).toBe(false)
  })

  test('after a lost connection channels are joined again and go on where the client was', async () => {
    const { client, changes, hub } = await open()
    const supabase = client(options)
    const channel = supabase.channel('room')
    const heard: unknown[] = []
    channel.on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, (change) => void heard.push(change.new))
    const statuses = await join(channel)
    const position = changes.commit(['INSERT', 'todos', { id: 1 }])
    await until(() => changes.listeners[0]!.acknowledged.length > 0)
    expect(changes.listeners[0]?.acknowledged).toEqual([position])
    cut(supabase)
    await until(() => changes.listeners.length === 2)
    await until(() => statuses.at(-1)?.status === 'SUBSCRIBED' && statuses.length >= 3)
    const [first, second] = changes.listeners.map(({ options: { cursor, returning }, closed }) => ({ cursor, returning, closed }))
    // Nobody knows of a client that counts so low: a young one may have been at a server that was killed.
    expect(first).toEqual({ cursor: expect.any(String), returning: undefined, closed: 'mayReturn' })
    expect(second).toEqual({ cursor: first?.cursor, returning: true, closed: false })
    const [before, after] = changes.listeners.map(({ options: { number } }) => number ?? 0)
    expect(after).toBeGreaterThan(before ?? 0)
    changes.commit(['INSERT', 'todos', { id: 2 }])
    await until(() => heard.length === 2)
    expect(hub.connections()).toBe(1)
  })

  test('a client that names its position is told everything after it, and its position from then on', async () => {
    const { client, changes } = await open()
    changes.commit(['INSERT', 'todos', { id: 1 }])
    const start = changes.commit(['INSERT', 'todos', { id: 2 }], ['INSERT', 'todos', { id: 3 }])
    changes.commit(['INSERT', 'todos', { id: 4 }])
    const tell = async (position: string | true) => {
      const broadcast = { position } as object
      const channel = client(options).channel('room', { config: { broadcast } })
      const system = systemOf(channel)
      const heard: unknown[] = []
      channel.on(
        'postgres_changes',
        { event: '*', schema: 'public', table: 'todos' },
        (change) => void heard.push((change.new as { id?: number }).id),
      )
      await subscribed(channel)
      return { heard, system }
    }
    const name = `memory-1:${start.number.toString(16)}`
    const whole = await tell(name)
    const part = await tell(`${name}/0`)
    const fresh = await tell(true)
    const unreadable = await tell('somewhere')
    const next = changes.commit(['INSERT', 'todos', { id: 5 }])
    await until(() => [whole, part, fresh, unreadable].every(({ heard }) => heard.at(-1) === 5))
    expect([whole.heard, part.heard, fresh.heard, unreadable.heard]).toEqual([[4, 5], [3, 4, 5], [5], [5]])
    const nextName = `memory-1:${next.number.toString(16)}`
    await until(() => fresh.system.length === 3)
    expect(fresh.system[2]).toEqual({
      channel: 'room',
      extension: 'tidemark',
      status: 'ok',
      message: nextName,
      position: nextName,
    })
    expect(unreadable.system[1]).toMatchObject({ status: 'error', gap: { reason: 'lost' } })
  })

  test('a client that keeps its position in what it joins with goes on there by itself', async () => {
    const { client, changes } = await open()
    const supabase = client(options)
    const config = { broadcast: { self: false, position: true as string | true } }
    const channel = supabase.channel('room', { config })
    const heard: unknown[] = []
    channel
      .on('postgres_changes', { event: '*', schema: 'public', table: 'todos' }, (change) => void heard.push(change.new))
      .on('system' as never, {} as never, ({ extension, position }: { extension: string; position: string }) => {
        if (extension === 'tidemark') config.broadcast.position = position
      })
    await subscribed(channel)
    const position = changes.commit(['INSERT', 'todos', { id: 1 }])
    await until(() => config.broadcast.position === `memory-1:${position.number.toString(16)}`)
    cut(supabase)
    await until(() => changes.listeners[0]?.closed)
    changes.commit(['INSERT', 'todos', { id: 2 }])
    await until(() => heard.length === 2)
    expect(changes.listeners[1]?.options).toMatchObject({ from: position })
    expect(changes.listeners[1]?.options.cursor).toBeUndefined()
    expect(heard).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('when the server ends clients are told to come again', async () => {
    const { client, hub } = await open()
    const supabase = client(options)
    await subscribed(supabase.channel('room'))
    const closed: unknown[] = []
    const { socket } = (
      supabase.realtime as unknown as {
        socketAdapter: { socket: { onClose(f: (e: { code: number; reason: string }) => void): void } }
      }
    ).socketAdapter
    socket.onClose(({ code, reason }) => void closed.push([code, reason]))
    await hub.stop()
    await until(() => closed.length > 0)
    expect(closed[0]).toEqual([1012, 'restarting'])
  })

  if (vsn === '2.0.0') {
    test('bytes are broadcast as they are, over the socket, over HTTP and from the database', async () => {
      const { client, messages } = await open()
      const [sender, receiver, old] = [client(options), client(options), client({ vsn: '1.0.0' })].map((each) =>
        each.channel('room'),
      )
      const [heard, atOld] = [receiver!, old!].map((channel) => broadcastsOf(channel))
      await Promise.all([sender!, receiver!, old!].map(subscribed))
      const bytes = new Uint8Array([0xde, 0xad, 0, 0xff])
      await sender!.send({ type: 'broadcast', event: 'bytes', payload: bytes.buffer as never })
      await sender!.httpSend('http', bytes)
      messages.send({
        id: 'one',
        topic: 'room',
        event: 'db',
        private: false,
        payload: { kind: 'binary', bytes: Buffer.from(bytes) },
      })
      await sender!.send({ type: 'broadcast', event: 'text', payload: { for: 'all' } })
      await until(() => heard?.length === 4 && atOld?.length === 1)
      const told = heard!.slice(0, 3).map(({ event, payload }) => [event, new Uint8Array(payload as ArrayBuffer)])
      expect(told).toEqual(['bytes', 'http', 'db'].map((event) => [event, bytes]))
      expect(heard?.[2]?.['meta']).toEqual({ id: 'one' })
      expect(atOld).toEqual([{ type: 'broadcast', event: 'text', payload: { for: 'all' } }])
    })

    test('names outside of ASCII, which this client writes byte by byte', async () => {
      const { client } = await open()
      const [sender, receiver] = [
        client(options).channel('räum ✓', { config: { broadcast: { ack: true } } }),
        client(options).channel('räum ✓'),
      ]
      const heard = broadcastsOf(receiver)
      await Promise.all([sender, receiver].map(subscribed))
      expect(await sender.send({ type: 'broadcast', event: 'grüße', payload: { ok: true } })).toBe('ok')
      await until(() => heard.length === 1)
      expect(heard[0]).toEqual({ type: 'broadcast', event: 'grüße', payload: { ok: true } })
    })
  }
})
