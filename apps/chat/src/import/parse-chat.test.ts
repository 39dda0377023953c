import { describe, expect, it } from 'vitest'
import { messageIdOf, sessionIdOf, userIdOf } from '../legacy-ids.js'
import { type Listing, parseChat } from './parse-chat.js'
import type { PlannedChat, Reason } from './plan.js'

const nowMs = Date.UTC(2026, 0, 1)
const key = 'chat:abc'

const rawOf = (fields: Readonly<Record<string, string | Buffer>>) => ({
  key,
  legacyId: 'abc',
  hash: new Map(Object.entries(fields).map(([name, value]) => [name, Buffer.from(value as string)])),
  text: undefined,
})

const whole = {
  id: 'abc',
  title: 'Trip',
  userId: 'u1',
  createdAt: '1700000000000',
  path: '/chat/abc',
  messages: JSON.stringify([
    { id: 'm1', role: 'user', content: 'hello' },
    { id: 'm2', role: 'assistant', content: 'hi', createdAt: '2023-11-14T22:13:30.000Z' },
  ]),
}

const listed: readonly Listing[] = [{ userId: 'u1', score: '1700000000000' }]

const parse = (changes: Readonly<Record<string, string | Buffer>> = {}, listings = listed) =>
  parseChat(rawOf({ ...whole, ...changes }), listings, nowMs)

const planned = (changes: Readonly<Record<string, string | Buffer>> = {}, listings = listed): PlannedChat => {
  const parsed = parse(changes, listings)
  if (parsed.kind !== 'planned') throw new Error(`rejected: ${parsed.chat.notes[0]?.reason}`)
  return parsed.chat
}

const messagesOf = (list: readonly unknown[]) => planned({ messages: JSON.stringify(list) })

const reasonsOf = ({ notes }: PlannedChat): Reason[] => notes.map(({ reason }) => reason)

describe('C57: a chat in Redis', () => {
  it('becomes a session and its messages, always under the same ids', () => {
    expect(planned()).toEqual({
      key,
      id: sessionIdOf('abc'),
      userId: userIdOf('u1'),
      title: 'Trip',
      metadata: { legacy: { path: '/chat/abc' } },
      createdAt: new Date(1_700_000_000_000),
      rejectedMessages: 0,
      notes: [],
      messages: [
        {
          id: messageIdOf(key, 'm1'),
          role: 'user',
          content: 'hello',
          metadata: { legacy: { id: 'm1' } },
          createdAt: new Date(1_700_000_000_000),
        },
        {
          id: messageIdOf(key, 'm2'),
          role: 'assistant',
          content: 'hi',
          metadata: { legacy: { id: 'm2' } },
          createdAt: new Date(1_700_000_010_000),
        },
      ],
    })
    // Fixed for ever: a change of the namespace would import everything twice.
    expect(sessionIdOf('abc')).toBe('97b278bc-8581-5b8c-a485-201e1bfeed25')
    expect(sessionIdOf('7B0F2F0E-3A67-4A4E-9A43-1F5A6C1D2E01')).toBe('7b0f2f0e-3a67-4a4e-9a43-1f5a6c1d2e01')
  })

  it.each([
    ['a list', whole.messages],
    ['JSON of its JSON', JSON.stringify(whole.messages)],
  ])('may have its messages as %s', (_what, messages) => {
    expect(planned({ messages }).messages).toHaveLength(2)
  })

  it('may be one JSON text with its messages as a list', () => {
    const text = Buffer.from(JSON.stringify({ ...whole, messages: JSON.parse(whole.messages), createdAt: 1_700_000_000_000 }))
    const parsed = parseChat({ key, legacyId: 'abc', hash: undefined, text }, listed, nowMs)
    expect(parsed).toEqual({ kind: 'planned', chat: planned() })
  })

  it.each([
    ['1700000000000', false],
    ['1700000000', false],
    ['"2023-11-14T22:13:20.000Z"', false],
    ['2023-11-14T22:13:20Z', false],
    ['2023-11-14 22:13:20', false],
    ['2023-11-15T07:43:20+09:30', false],
    ['yesterday', true],
    ['', true],
    ['99999999999999', true],
    ['-1', true],
    ['2023-13-45T00:00:00Z', true],
  ])('may have been made at %j; guessed: %s', (createdAt, isGuessed) => {
    const chat = planned({ createdAt })
    expect(chat.createdAt).toEqual(new Date(1_700_000_000_000))
    expect(reasonsOf(chat)).toEqual(isGuessed ? ['time_guessed'] : [])
  })

  it.each<[string, Readonly<Record<string, string | Buffer>>, Reason]>([
    ['broken JSON', { messages: whole.messages.slice(0, -5) }, 'broken_messages'],
    ['no messages at all', { messages: '' }, 'broken_messages'],
    ['an object of messages', { messages: '{"a":1}' }, 'messages_not_a_list'],
    ['bytes that are no UTF-8', { title: Buffer.from([0xff, 0xfe]) }, 'not_utf8'],
    [
      'messages nested without end',
      { messages: `[{"role":"user","content":"x","deep":${'['.repeat(2e5)}${']'.repeat(2e5)}}]` },
      'unreadable',
    ],
  ])('is rejected with its bytes for %s', (_what, changes, reason) => {
    const parsed = parse(changes)
    expect(parsed).toMatchObject({ kind: 'rejected', chat: { notes: [{ key, item: '', reason, outcome: 'rejected' }] } })
    expect(parsed.chat.notes[0]?.bytes?.toString()).toContain('/chat/abc')
  })

  it('is rejected without an owner, and belongs to the one whose list has it otherwise', () => {
    const { userId: _none, ...ownerless } = whole
    expect(parseChat(rawOf(ownerless), [], nowMs)).toMatchObject({ chat: { notes: [{ reason: 'no_owner' }] } })
    const parsed = parseChat(rawOf(ownerless), [{ userId: 'u2', score: '1' }], nowMs)
    expect(parsed).toMatchObject({ kind: 'planned', chat: { userId: userIdOf('u2') } })
  })

  it('is told apart where lists and owner say different things', () => {
    expect(reasonsOf(planned({}, []))).toEqual(['not_listed'])
    expect(reasonsOf(planned({ userId: 'u2' }))).toEqual(['owner_differs'])
    expect(planned({ userId: 'u2' }).userId).toBe(userIdOf('u2'))
    expect(reasonsOf(planned({ userId: 'anonymous' }, [{ userId: 'anonymous', score: '1' }]))).toEqual(['anonymous_owner'])
  })

  it('keeps what had to be cut or replaced', () => {
    const title = `${'🌊'.repeat(200)}end`
    const chat = planned({ title, path: 'x'.repeat(20_000) })
    expect(chat.title).toBe('🌊'.repeat(200))
    expect(chat.metadata).toEqual({})
    expect(chat.notes.map(({ reason, bytes }) => [reason, bytes?.length])).toEqual([
      ['title_cut', Buffer.byteLength(title)],
      ['metadata_left_out', expect.any(Number)],
    ])
    expect(planned({ title: 'a\0b' })).toMatchObject({ title: 'a\ufffdb', notes: [{ reason: 'characters_replaced' }] })
  })
})

describe('a message in Redis', () => {
  it.each([
    ['text', { content: 'a' }, 'a'],
    ['one part', { content: [{ type: 'text', text: 'a' }] }, 'a'],
    [
      'several parts',
      {
        content: [
          { type: 'text', text: 'a' },
          { type: 'image', url: 'u' },
          { type: 'text', text: 'b' },
        ],
      },
      'ab',
    ],
    ['parts beside', { content: '', parts: [{ type: 'text', text: 'a' }] }, 'a'],
    ['nothing', { content: null, function_call: { name: 'f' } }, ''],
    ['a literal escape', { content: '\\u0000' }, '\\u0000'],
  ])('may have %s as its content, and what is no text stays beside it', (_what, raw, content) => {
    const chat = messagesOf([{ role: 'user', ...raw }])
    expect(chat.messages[0]?.content).toBe(content)
    expect(chat.notes).toEqual([])
    const { legacy } = chat.messages[0]!.metadata
    const { content: rawContent, ...rest } = raw as Record<string, unknown>
    expect(legacy ?? {}).toEqual({ ...rest, ...(Array.isArray(rawContent) && rawContent.length > 1 && { content: rawContent }) })
  })

  it.each<[string, unknown, Reason]>([
    ['no object', 'hello', 'message_not_an_object'],
    ['null', null, 'message_not_an_object'],
    ['a role nobody knows', { role: 'toString', content: 'x' }, 'unknown_role'],
    ['no role', { content: 'x' }, 'unknown_role'],
    ['content that is a number', { role: 'user', content: 7 }, 'content_unreadable'],
  ])('that is or has %s is rejected alone, with its bytes', (_what, message, reason) => {
    const chat = messagesOf([{ role: 'user', content: 'a' }, message, { role: 'user', content: 'b' }])
    expect(chat.messages.map(({ content }) => content)).toEqual(['a', 'b'])
    expect(chat.rejectedMessages).toBe(1)
    expect(chat.notes).toEqual([{ key, item: '[1]', reason, outcome: 'rejected', bytes: Buffer.from(JSON.stringify(message)) }])
  })

  it('has one of the four roles afterwards', () => {
    const chat = messagesOf(['user', 'assistant', 'system', 'tool', 'function'].map((role) => ({ role, content: 'x' })))
    expect(chat.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'system', 'tool', 'tool'])
    expect(chat.notes).toMatchObject([{ item: '[4]', reason: 'role_mapped', bytes: null }])
    expect(chat.messages[4]?.metadata).toEqual({ legacy: { role: 'function' } })
  })

  it('is known by its own id, and by its place where that is missing or there twice', () => {
    const chat = messagesOf([
      { id: 'a', role: 'user', content: '1' },
      { id: 'a', role: 'user', content: '2' },
      { role: 'user', content: '3' },
    ])
    expect(chat.messages.map(({ id }) => id)).toEqual([messageIdOf(key, 'a'), messageIdOf(key, 1), messageIdOf(key, 2)])
  })

  it('keeps what had to be cut or replaced', () => {
    const long = 'x'.repeat(100_001)
    const chat = messagesOf([
      { role: 'user', content: long },
      { role: 'user', content: 'a\0\ud800', note: 'n\0' },
      { role: 'user', content: 'a', result: 'r'.repeat(20_000) },
      { role: 'user', content: 'a', createdAt: 'never' },
    ])
    expect(chat.messages.map(({ content }) => content.length)).toEqual([100_000, 3, 1, 1])
    expect(chat.messages[1]).toMatchObject({ content: 'a\ufffd\ufffd', metadata: { legacy: { note: 'n\ufffd' } } })
    expect(chat.messages[2]?.metadata).toEqual({})
    expect(chat.notes.map(({ item, reason }) => `${item} ${reason}`)).toEqual([
      '[0] content_cut',
      '[1] characters_replaced',
      '[2] metadata_left_out',
      '[3] time_guessed',
    ])
    expect(chat.notes[0]?.bytes?.length).toBeGreaterThan(100_001)
  })
})
