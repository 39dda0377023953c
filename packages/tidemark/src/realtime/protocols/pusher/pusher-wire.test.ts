import { once } from 'node:events'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { propertyRuns } from '../../../testing/property-runs.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { until } from '../../../time/until.js'
import { app, openPusherNode } from './testing/pusher-node.js'

const cleanups = useCleanups()

interface Line {
  readonly socket: WebSocket
  readonly frames: { event: string; data: unknown; channel?: string }[]
  closedWith: number | undefined
}

const dial = async (port: number, path = `/app/${app.key}?protocol=7&client=js&version=8.6.0&flash=false`): Promise<Line> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`)
  cleanups.push(() => socket.terminate())
  const line: Line = { socket, frames: [], closedWith: undefined }
  socket.on('message', (data: Buffer) => line.frames.push(JSON.parse(data.toString())))
  socket.on('close', (code) => {
    line.closedWith = code
  })
  await once(socket, 'open')
  await until(() => line.frames.length > 0)
  return line
}

describe("Pusher's protocol on the wire", () => {
  test('the first frame names the socket, as text within JSON', async () => {
    const { port } = await openPusherNode(cleanups)
    const { frames } = await dial(port)
    expect(frames[0]?.event).toBe('pusher:connection_established')
    const data = JSON.parse(frames[0]?.data as string)
    expect(data).toEqual({ socket_id: expect.stringMatching(/^\d+\.\d+$/), activity_timeout: 120 })
  })

  test.each([
    ['another key', '/app/none?protocol=7', 4001],
    ['no protocol', `/app/${app.key}`, 4008],
    ['a protocol that is no number', `/app/${app.key}?protocol=x`, 4006],
    ['a protocol to come', `/app/${app.key}?protocol=8`, 4007],
    ['a protocol long gone', `/app/${app.key}?protocol=3`, 4007],
  ])('a connection with %s is told why and closed with the code', async (_what, path, code) => {
    const { port } = await openPusherNode(cleanups)
    const line = await dial(port, path)
    await until(() => line.closedWith !== undefined)
    expect(line.frames).toEqual([{ event: 'pusher:error', data: { code, message: expect.any(String) } }])
    expect(line.closedWith).toBe(code)
  })

  test('a ping is answered, a silent client is asked for a sign of life, and one that gives none is closed', async () => {
    let nowMs = 0
    const clock = { now: () => Date.now(), monotonicMs: () => nowMs, sleep: () => new Promise<void>(() => {}) }
    const { pusher } = await openPusherNode(cleanups, { clock })
    const sent: string[] = []
    const ends: number[] = []
    const connection = {
      send: (frame: Buffer) => sent.push(frame.toString('utf8', frame[1] === 126 ? 4 : 2)),
      close: (code: number) => ends.push(code),
    }
    const query = new URLSearchParams({ protocol: '7' })
    const accepted = await pusher.accept({ path: `/app/${app.key}`, query, headers: {}, remote: '' })
    const client = accepted.open(connection as never)
    const sweepAt = (ms: number) => {
      nowMs = ms
      client.sweep?.(ms)
    }
    client.message(Buffer.from('{"event":"pusher:ping","data":{}}'), false)
    expect(JSON.parse(sent.at(-1)!)).toEqual({ event: 'pusher:pong', data: {} })
    sweepAt(119_000)
    expect(sent).toHaveLength(2)
    sweepAt(121_000)
    expect(JSON.parse(sent.at(-1)!)).toEqual({ event: 'pusher:ping', data: {} })
    client.message(Buffer.from('{"event":"pusher:pong","data":{}}'), false)
    sweepAt(200_000)
    sweepAt(242_000)
    sweepAt(260_000)
    expect(ends).toEqual([])
    sweepAt(273_000)
    expect(ends).toEqual([4201])
    expect(JSON.parse(sent.at(-1)!)).toMatchObject({ event: 'pusher:error', data: { code: 4201 } })
  })

  test('who subscribes twice is told so, and what is no channel is refused', async () => {
    const { port } = await openPusherNode(cleanups)
    const { socket, frames } = await dial(port)
    const send = (data: object) => socket.send(JSON.stringify({ event: 'pusher:subscribe', data }))
    send({ channel: 'a' })
    send({ channel: 'a' })
    send({ channel: 'a b' })
    send({ channel: '#server-to-user-ann' })
    await until(() => frames.filter(({ event }) => event === 'pusher:error').length === 3)
    expect(frames[1]).toEqual({ event: 'pusher_internal:subscription_succeeded', channel: 'a', data: '{}' })
    const errors = frames.filter(({ event }) => event === 'pusher:error').map(({ data }) => (data as { message: string }).message)
    expect(errors).toEqual(['Existing subscription to channel a', 'Invalid channel name', 'Invalid channel name'])
  })

  test('RT-3 who sends without end is cut off with a reason, and harms nobody else', async () => {
    const { port } = await openPusherNode(cleanups)
    const [flood, other] = [await dial(port), await dial(port)]
    for (let count = 0; count < 12_000; count++) flood.socket.send('{"event":"pusher:unsubscribe","data":{}}')
    await until(() => flood.closedWith !== undefined)
    expect(flood.closedWith).toBe(4100)
    expect(flood.frames.at(-1)).toMatchObject({ event: 'pusher:error', data: { code: 4100 } })
    other.socket.send('{"event":"pusher:ping"}')
    await until(() => other.frames.at(-1)?.event === 'pusher:pong')
  })

  test('whatever comes in is answered or closed with a reason, and the node lives', async () => {
    const { port } = await openPusherNode(cleanups)
    const name = fc.constantFrom(
      'pusher:subscribe',
      'pusher:unsubscribe',
      'pusher:signin',
      'pusher:ping',
      'pusher:pong',
      'client-x',
      'x',
      '',
    )
    const channel = fc.oneof(
      fc.constantFrom('a', 'private-a', 'presence-a', 'cache-a', '#server-to-user-a', '__proto__'),
      fc.jsonValue(),
    )
    const fields = fc.record(
      { channel, auth: fc.jsonValue(), channel_data: fc.jsonValue(), user_data: fc.jsonValue() },
      { requiredKeys: [] },
    )
    const wellFormed = fc.record(
      { event: name, channel, data: fc.oneof(fields, fc.jsonValue(), fc.json()) },
      { requiredKeys: ['event'] },
    )
    const frame = fc.oneof(
      wellFormed.map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.uint8Array({ maxLength: 200 }),
    )
    let line = await dial(port)
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 500, maxLength: 500 }), async (frames) => {
        if (line.closedWith !== undefined || line.socket.readyState !== WebSocket.OPEN) line = await dial(port)
        const { socket } = line
        for (const each of frames) socket.send(each)
        count += frames.length
        // Frames are taken in their order: once the ping is answered, or the line closed, all were.
        const before = line.frames.length
        socket.send('{"event":"pusher:ping"}')
        const over = () => line.closedWith !== undefined || line.frames.slice(before).some(({ event }) => event === 'pusher:pong')
        await until(over)
        if (line.closedWith !== undefined) expect([4009, 4100]).toContain(line.closedWith)
      }),
      propertyRuns(20, 5_000),
    )
    expect(count).toBeGreaterThanOrEqual(Number(process.env['TIDEMARK_TEST_RUNS'] ?? 20) * 500)
    expect((await dial(port)).frames[0]?.event).toBe('pusher:connection_established')
  })
})
