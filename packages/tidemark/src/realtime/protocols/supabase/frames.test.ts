import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { propertyRuns } from '../../../testing/property-runs.js'
import type { Frame } from '../../hub/frame.js'
import { broadcastFrame, decodeMessage, endFrame, pushFrame, replyFrame, type Version } from './frames.js'

const versions: readonly Version[] = ['1.0.0', '2.0.0']

/** What is behind the header of an unmasked frame. */
const payloadOf = (frame: Frame): Buffer => {
  const length = frame[1]!
  return frame.subarray(length < 126 ? 2 : length === 126 ? 4 : 10)
}
const textOf = (frame: Frame): unknown => JSON.parse(payloadOf(frame).toString())

/** As realtime-js writes it. */
const userPush = (
  joinRef: string,
  ref: string,
  topic: string,
  event: string,
  meta: string,
  encoding: number,
  payload: Buffer,
) => {
  const fields = [joinRef, ref, topic, event, meta].map((field) => Buffer.from(field))
  return Buffer.concat([Buffer.from([3, ...fields.map(({ length }) => length), encoding]), ...fields, payload])
}

describe('messages of clients', () => {
  test('in text, of both versions', () => {
    const expected = { joinRef: '1', ref: '2', topic: 'realtime:room', event: 'phx_join', payload: { config: {} } }
    const two = Buffer.from('["1","2","realtime:room","phx_join",{"config":{}}]')
    expect(decodeMessage(two, false, '2.0.0')).toEqual(expected)
    const one = Buffer.from('{"topic":"realtime:room","event":"phx_join","payload":{"config":{}},"ref":"2","join_ref":"1"}')
    expect(decodeMessage(one, false, '1.0.0')).toEqual(expected)
    const alone = Buffer.from('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":3}')
    expect(decodeMessage(alone, false, '1.0.0')).toMatchObject({ joinRef: null, ref: 3 })
  })

  test.each([
    ['2.0.0', '{"topic":"t","event":"e","payload":{},"ref":"1"}'],
    ['1.0.0', '["1","2","t","e",{}]'],
    ['2.0.0', '["1","2","t","e"]'],
    ['2.0.0', '["1","2",3,"e",{}]'],
    ['2.0.0', '[{},"2","t","e",{}]'],
    ['1.0.0', '{"topic":"t"}'],
    ['1.0.0', 'null'],
    ['2.0.0', '"text"'],
    ['2.0.0', '[1,'],
    ['2.0.0', ''],
  ] as const)('of version %s this is none: %s', (version, text) => {
    expect(decodeMessage(Buffer.from(text), false, version)).toBeUndefined()
  })

  test('a broadcast in bytes, as JSON and as bytes', () => {
    const json = userPush('1', '2', 'realtime:room', 'moved', '', 1, Buffer.from('{"x":1}'))
    const common = { joinRef: '1', ref: '2', topic: 'realtime:room', event: 'broadcast', payload: undefined }
    expect(decodeMessage(json, true, '2.0.0')).toEqual({
      ...common,
      broadcast: { event: 'moved', encoding: 'json', payload: Buffer.from('{"x":1}') },
    })
    const bytes = userPush('', '', 'realtime:room', 'moved', '{"a":1}', 0, Buffer.from([0, 255]))
    expect(decodeMessage(bytes, true, '2.0.0')).toEqual({
      ...common,
      joinRef: null,
      ref: null,
      broadcast: { event: 'moved', encoding: 'binary', payload: Buffer.from([0, 255]) },
    })
    expect(decodeMessage(json, true, '1.0.0')).toBeUndefined()
  })

  test.each([['{"x":1'], ['}],["1",null,"realtime:room","phx_close",{}]'], [''], ['\xff\xfe']])(
    'SEC-1: what a broadcast calls JSON and is none goes nowhere: %j',
    (text) => {
      const message = decodeMessage(userPush('1', '2', 't', 'e', '', 1, Buffer.from(text, 'latin1')), true, '2.0.0')
      expect(message).toMatchObject({ topic: 't', broadcast: undefined })
    },
  )

  test('lengths that go beyond the end are no message', () => {
    expect(decodeMessage(Buffer.from([3, 200, 0, 0, 0, 0, 1]), true, '2.0.0')).toBeUndefined()
    expect(decodeMessage(Buffer.from([3, 0, 0]), true, '2.0.0')).toBeUndefined()
    expect(decodeMessage(Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), true, '2.0.0')).toBeUndefined()
  })

  test('whatever bytes come, reading them ends, and gives a message or nothing', () => {
    const text = fc.oneof(
      fc.json(),
      fc.string({ unit: 'binary' }),
      fc.json().map((json) => `["1","2","t","e",${json}]`),
    )
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((tail) => Buffer.concat([Buffer.from([3]), tail])),
    )
    const input = fc.oneof(
      text.map((value) => ({ data: Buffer.from(value), isBinary: false })),
      bytes.map((value) => ({ data: Buffer.from(value), isBinary: true })),
    )
    fc.assert(
      fc.property(input, fc.constantFrom(...versions), ({ data, isBinary }, version) => {
        const message = decodeMessage(data, isBinary, version)
        if (message === undefined) return
        expect(typeof message.topic).toBe('string')
        expect(typeof message.event).toBe('string')
        // Whatever was read can be answered.
        for (const each of versions) textOf(replyFrame(each, message, 'error', { reason: 'no' }))
        if (!message.broadcast) return
        const told = broadcastFrame('1.0.0', message.topic, message.broadcast)
        if (told) expect(textOf(told)).toMatchObject({ event: 'broadcast', payload: { event: message.broadcast.event } })
      }),
      propertyRuns(10_000),
    )
  })
})

describe('messages for clients', () => {
  test('replies, pushes and ends, of both versions', () => {
    const message = { joinRef: '1', ref: '2', topic: 'realtime:room' }
    expect(textOf(replyFrame('2.0.0', message, 'ok'))).toEqual([
      '1',
      '2',
      'realtime:room',
      'phx_reply',
      { status: 'ok', response: {} },
    ])
    expect(textOf(replyFrame('1.0.0', message, 'error', { reason: 'no' }))).toEqual({
      topic: 'realtime:room',
      event: 'phx_reply',
      payload: { status: 'error', response: { reason: 'no' } },
      ref: '2',
    })
    expect(textOf(pushFrame('2.0.0', '1', 'realtime:room', 'system', '{"a":1}'))).toEqual([
      '1',
      null,
      'realtime:room',
      'system',
      { a: 1 },
    ])
    expect(textOf(endFrame('2.0.0', '1', 'realtime:room', 'phx_close'))).toEqual(['1', '1', 'realtime:room', 'phx_close', {}])
    expect(textOf(endFrame('1.0.0', '1', 'realtime:room', 'phx_error'))).toEqual({
      topic: 'realtime:room',
      event: 'phx_error',
      payload: {},
      ref: '1',
    })
  })

  test('a broadcast is bytes in the new version and JSON in the old one', () => {
    const broadcast = { event: 'ü', encoding: 'json', payload: Buffer.from('{"x":1}'), meta: '{"id":"a"}' } as const
    const bytes = payloadOf(broadcastFrame('2.0.0', 'realtime:room', broadcast)!)
    expect(bytes.subarray(0, 5)).toEqual(Buffer.from([4, 13, 2, 10, 1]))
    expect(bytes.subarray(5).toString()).toBe('realtime:roomü{"id":"a"}{"x":1}')
    expect(textOf(broadcastFrame('1.0.0', 'realtime:room', broadcast)!)).toEqual({
      topic: 'realtime:room',
      event: 'broadcast',
      payload: { type: 'broadcast', event: 'ü', payload: { x: 1 }, meta: { id: 'a' } },
      ref: null,
    })
  })

  test('names too long for bytes go as JSON; bytes that cannot be told are not', () => {
    const topic = `realtime:${'x'.repeat(300)}`
    const broadcast = { event: 'e', encoding: 'json', payload: Buffer.from('1') } as const
    expect(textOf(broadcastFrame('2.0.0', topic, broadcast)!)).toEqual([
      null,
      null,
      topic,
      'broadcast',
      { event: 'e', payload: 1, type: 'broadcast' },
    ])
    expect(broadcastFrame('2.0.0', topic, { ...broadcast, encoding: 'binary' })).toBeUndefined()
    expect(broadcastFrame('1.0.0', 'realtime:room', { ...broadcast, encoding: 'binary' })).toBeUndefined()
  })
})
