import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../time/until.js'
import type { Changes, ListenOptions, VisibleChange } from '../../realtime.js'
import { openChangeStream } from './change-stream.js'
import { formatEventId, parseEventId } from './event-id.js'

const position = { epoch: 'wal-1', number: 255n }

const changeOf = (text: string): VisibleChange => ({
  position,
  ordinal: 3,
  event: 'INSERT',
  schema: 'public',
  table: 'things',
  committedAt: new Date(0),
  columns: [],
  errors: null,
  columnsJson: '[]',
  recordJson: text,
})

describe('a stream of changes', () => {
  let server: Server | undefined
  afterEach(() => {
    server?.closeAllConnections()
    server?.close()
  })

  const serve = async (maxBufferedBytes: number, beginsWithGap = false) => {
    const cut: string[] = []
    let listening: ListenOptions | undefined
    let closed = 0
    const changes: Changes = {
      listen: async (options) => {
        listening = options
        const close = () => {
          closed += 1
        }
        return { start: position, beginsWithGap, setCaller: async () => {}, acknowledged: () => {}, close }
      },
      stop: async () => {},
    }
    server = createServer((_request, response) => {
      void openChangeStream({
        changes,
        caller: { role: 'anon', claims: {} },
        bindings: [],
        from: undefined,
        response,
        maxBufferedBytes,
        heartbeatMs: 10,
        cutOff: (reason) => cut.push(reason),
      })
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    const { listener } = await until(() => listening)
    return { socket, listener, cut, closes: () => closed }
  }

  it('RT-3: cuts off a client that does not read, once, and listens no more for it', async () => {
    const { socket, listener, cut, closes } = await serve(100_000)
    socket.pause()
    const change = changeOf(JSON.stringify({ text: 'x'.repeat(10_000) }))
    for (let count = 0; count < 2_000 && cut.length === 0; count += 1) {
      listener.change(change, [0])
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(cut).toEqual(['slow'])
    expect(closes()).toBe(1)
    listener.change(change, [0])
    expect(cut).toEqual(['slow'])
    socket.destroy()
  })

  it('writes a change on one line with its id, signs of life that move the id, and an end with a reason', async () => {
    const { socket, listener } = await serve(100_000)
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    listener.change(changeOf('{"id":9007199254740993,"json":{\n"a":\r\n1}}'), [0])
    // All before the transaction of which it has a part.
    listener.passed({ epoch: 'wal-1', number: 254n })
    await until(() => text.includes('still here\nid: wal-1:ff/3\n\n'))
    listener.passed({ epoch: 'wal-1', number: 256n })
    await until(() => text.includes('id: wal-1:100\n\n'))
    expect(text).toContain('id: wal-1:ff/3\nevent: change\ndata: {"event":"INSERT"')
    expect(text).toContain('"record":{"id":9007199254740993,"json":{ "a": 1}},"errors":null}\n\n')
    listener.failed('its policies raise')
    await until(() => text.includes('event: end\ndata: {"reason":"its policies raise"}\n\n'))
    socket.destroy()
  })

  it('RT-2: gives no id before a gap that is to be told: the line may break in between', async () => {
    const { socket, listener } = await serve(100_000, true)
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await until(() => text.includes('event: ready'))
    expect(text).not.toContain('id: ')
    listener.gap({ reason: 'lost', position, message: 'What was changed since is not kept any more.' })
    await until(() => text.includes('id: wal-1:ff\nevent: gap\n'))
    socket.destroy()
  })

  it('listens no more once its client has gone', async () => {
    const { socket, closes } = await serve(100_000)
    socket.destroy()
    await until(() => closes() === 1)
  })

  it.each([
    ['wal-1:ff', { position, ordinal: undefined }],
    ['wal-1:ff/12', { position, ordinal: 12 }],
    ['', undefined],
    ['wal-1:ff/', undefined],
    ['wal-1:ff/1/2', undefined],
    ['nonsense', undefined],
    ['wal-1:0ff', undefined],
  ])('the id %j is read as what was written, or not at all', (text, place) => {
    expect(parseEventId(text)).toEqual(place)
    if (place) expect(formatEventId(place)).toBe(text)
  })
})
