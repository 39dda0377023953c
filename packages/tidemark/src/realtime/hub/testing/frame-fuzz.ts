/** What strangers send: frames that are none, messages that are none, and messages in an order that no client has. */
import { until } from '../../../time/until.js'
import { encodeFrame, opcodes, type RawFrame, RawSocket } from './raw-socket.js'

/** From 0 up to 1. */
export type Dice = () => number

/** A protocol as it is spoken over one address. */
export interface Dialect {
  readonly name: string
  readonly path: string
  /** A message with anything in it; a rough one may not even be that. */
  message(dice: Dice, isRough: boolean): Pick<RawFrame, 'opcode' | 'payload'>
  /** A message that has to be answered, and whether this is its answer. */
  probe(word: string): string
  answers(text: string, word: string): boolean
}

const between = (dice: Dice, min: number, max: number): number => min + Math.floor(dice() * (max - min + 1))
const oneOf = <T>(dice: Dice, values: readonly T[]): T => values[Math.floor(dice() * values.length)] as T

const noise = (dice: Dice, maxBytes: number): Buffer =>
  Buffer.from(Array.from({ length: between(dice, 0, maxBytes) }, () => between(dice, 0, 255)))

const odd = ['', '\u0000', '\ud800', '__proto__', 'constructor', '💥', '%s%n', "'; drop table x; --", 'x'.repeat(300), '../..']

/** Any JSON, of some depth. */
const json = (dice: Dice, depth = 3): unknown => {
  const kind = between(dice, 0, depth > 0 ? 8 : 5)
  if (kind === 0) return null
  if (kind === 1) return dice() < 0.5
  if (kind === 2) return oneOf(dice, [0, -1, 1.5, 2 ** 53, -(2 ** 31), 1e308, 5e-324])
  if (kind <= 5) return oneOf(dice, odd)
  const size = between(dice, 0, 4)
  if (kind === 6) return Array.from({ length: size }, () => json(dice, depth - 1))
  return Object.fromEntries(
    Array.from({ length: size }, () => [oneOf(dice, [...odd, 'config', 'event', 'type', 'payload']), json(dice, depth - 1)]),
  )
}

const brokenText = (dice: Dice, text: string): string => {
  const at = between(dice, 0, text.length)
  const how = between(dice, 0, 3)
  if (how === 0) return text.slice(0, at)
  if (how === 1) return text.slice(at)
  if (how === 2) return `${text.slice(0, at)}${oneOf(dice, ['"', ']', '}', '\u0000', '\\', ','])}${text.slice(at)}`
  return text.repeat(2)
}

const textFrame = (dice: Dice, value: unknown, isRough: boolean): Pick<RawFrame, 'opcode' | 'payload'> => {
  const text = JSON.stringify(value) ?? ''
  return { opcode: opcodes.text, payload: Buffer.from(isRough && dice() < 0.3 ? brokenText(dice, text) : text) }
}

const events = ['phx_join', 'phx_leave', 'broadcast', 'presence', 'access_token', 'heartbeat', 'phx_reply', 'phx_close', 'x', '']
const topics = [
  'realtime:a',
  'realtime:b',
  'realtime:',
  'realtime:public:todos:id=eq.1',
  'phoenix',
  '',
  'x',
  `realtime:${'t'.repeat(300)}`,
]

const supabasePayload = (dice: Dice): unknown => {
  const kind = between(dice, 0, 6)
  const listening = {
    event: oneOf(dice, ['*', 'INSERT', 'x', 1]),
    schema: oneOf(dice, ['public', '*', null]),
    table: oneOf(dice, ['a', '', 7]),
  }
  if (kind === 0)
    return { config: { postgres_changes: [{ ...listening, filter: json(dice, 1) }, json(dice, 2)], presence: json(dice, 1) } }
  if (kind === 1) return { config: { broadcast: json(dice, 2), private: json(dice, 0), postgres_changes: json(dice, 2) } }
  if (kind === 2) return { type: 'presence', event: oneOf(dice, ['track', 'untrack', 'x', 3]), payload: json(dice, 2) }
  if (kind === 3) return { type: 'broadcast', event: json(dice, 0), payload: json(dice, 2) }
  if (kind === 4) return { access_token: oneOf(dice, ['', 'a.b.c', 'sb_x', null, 4, `${'a'.repeat(2_000)}.b.c`]) }
  return json(dice, 3)
}

const refs = [null, '1', '2', '3', '', 'x']
const roughRefs = [...refs, 1, -1, {}, []]

/** As clients write it: the lengths of the names, then the names, then the payload. */
const userBroadcast = (dice: Dice): Buffer => {
  const names = [
    oneOf(dice, ['1', '2', '']),
    oneOf(dice, ['1', '']),
    oneOf(
      dice,
      topics.filter(({ length }) => length < 200),
    ),
    'e',
    oneOf(dice, ['', '{}', '{']),
  ]
  const lengths = names.map((name) => Buffer.byteLength(name))
  const payload = dice() < 0.5 ? noise(dice, 60) : Buffer.from('{"a":1}')
  return Buffer.concat([Buffer.from([3, ...lengths, between(dice, 0, 2)]), Buffer.from(names.join('')), payload])
}

const supabase = (version: '1.0.0' | '2.0.0', key: string): Dialect => {
  const frame = (joinRef: unknown, ref: unknown, topic: unknown, event: unknown, payload: unknown): unknown =>
    version === '2.0.0' ? [joinRef, ref, topic, event, payload] : { topic, event, payload, ref, join_ref: joinRef }
  return {
    name: `supabase ${version}`,
    path: `/realtime/v1/websocket?apikey=${key}&vsn=${version}`,
    message: (dice, isRough) => {
      if (isRough && dice() < 0.3) return { opcode: opcodes.binary, payload: noise(dice, 80) }
      if (isRough && dice() < 0.3) return textFrame(dice, json(dice), isRough)
      if (version === '2.0.0' && dice() < 0.1) return { opcode: opcodes.binary, payload: userBroadcast(dice) }
      const ref = (): unknown => oneOf(dice, isRough ? roughRefs : refs)
      return textFrame(dice, frame(ref(), ref(), oneOf(dice, topics), oneOf(dice, events), supabasePayload(dice)), isRough)
    },
    probe: (word) => JSON.stringify(frame(null, word, 'phoenix', 'heartbeat', {})),
    answers: (text, word) => text.includes('phx_reply') && text.includes(`"${word}"`),
  }
}

const pusherEvents = [
  'pusher:subscribe',
  'pusher:unsubscribe',
  'pusher:ping',
  'pusher:pong',
  'client-typing',
  'client-',
  'pusher_internal:x',
  'x',
]
const channels = [
  'a',
  'private-a',
  'presence-a',
  'private-encrypted-a',
  'cache-a',
  'private-cache-a',
  '#server-to-user-1',
  '',
  'a b',
  'c'.repeat(300),
]

const pusherData = (dice: Dice): unknown => {
  const kind = between(dice, 0, 4)
  const channel = oneOf<unknown>(dice, [...channels, 7, null])
  const auth = oneOf<unknown>(dice, [undefined, '', 'key:', `key:${'0'.repeat(64)}`, 'x'.repeat(1_000), 5])
  if (kind === 0) return { channel, auth, channel_data: oneOf<unknown>(dice, [undefined, '{"user_id":1}', '{', 'null', 3]) }
  if (kind === 1) return JSON.stringify({ channel, auth })
  if (kind === 2) return { auth, user_data: oneOf<unknown>(dice, ['{"id":"1"}', '{}', '', 7, null]) }
  return json(dice, 2)
}

const pusher = (key: string): Dialect => ({
  name: 'pusher',
  path: `/app/${key}?protocol=7&client=js&version=8.6.0`,
  message: (dice, isRough) => {
    if (isRough && dice() < 0.3) return { opcode: opcodes.binary, payload: noise(dice, 80) }
    if (isRough && dice() < 0.3) return textFrame(dice, json(dice), isRough)
    const channel = oneOf<unknown>(dice, [...channels, 7, {}, undefined])
    // Whoever signs in with what nobody has signed is sent away.
    const event = oneOf<unknown>(dice, isRough ? [...pusherEvents, 'pusher:signin', 3, null] : pusherEvents)
    return textFrame(dice, { event, channel, data: pusherData(dice) }, isRough)
  },
  probe: () => JSON.stringify({ event: 'pusher:ping', data: {} }),
  answers: (text) => text.includes('pusher:pong'),
})

export const dialectsOf = ({
  anonKey,
  pusherKey,
}: {
  readonly anonKey: string
  readonly pusherKey?: string | undefined
}): readonly Dialect[] => [
  supabase('1.0.0', anonKey),
  supabase('2.0.0', anonKey),
  ...(pusherKey === undefined ? [] : [pusher(pusherKey)]),
]

const text = (payload: string): RawFrame => ({ opcode: opcodes.text, payload: Buffer.from(payload) })

/** Frames that no client of WebSockets sends. Few of them leave the connection alive. */
const badFrames = (dice: Dice): readonly RawFrame[] => {
  const some = noise(dice, 130)
  switch (between(dice, 0, 11)) {
    case 0:
      return [{ opcode: opcodes.text, payload: some, reserved: between(dice, 1, 7) }]
    case 1:
      return [{ opcode: oneOf(dice, [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload: some }]
    case 2:
      return [{ ...text('unmasked'), masked: false }]
    case 3:
      return [{ opcode: opcodes.continuation, payload: some }]
    case 4:
      return [{ ...text('['), fin: false }, text('null]')]
    case 5:
      return [{ opcode: oneOf(dice, [opcodes.ping, opcodes.pong, opcodes.close]), payload: some, fin: false }]
    case 6:
      return [{ opcode: opcodes.ping, payload: Buffer.alloc(between(dice, 126, 400)) }]
    case 7:
      return [
        {
          opcode: opcodes.close,
          payload: oneOf(dice, [Buffer.from([1]), Buffer.from([0, 0]), Buffer.from([0x03, 0xed]), noise(dice, 100)]),
        },
      ]
    case 8:
      return [{ opcode: opcodes.text, payload: Buffer.from([0xc3, 0x28, 0xff, 0xfe]) }]
    case 9:
      return [{ opcode: opcodes.binary, payload: some, declaredBytes: oneOf(dice, [2 ** 31, 2 ** 40, 2 ** 52, 30_000_000]) }]
    case 10:
      return [
        ...Array.from({ length: 50 }, (_none, index) => ({
          opcode: index === 0 ? opcodes.text : opcodes.continuation,
          payload: some,
          fin: false,
        })),
      ]
    default:
      return [
        { opcode: opcodes.ping, payload: noise(dice, 125) },
        { opcode: opcodes.pong, payload: noise(dice, 125) },
      ]
  }
}

export interface FuzzOptions {
  readonly port: number
  readonly dialects: readonly Dialect[]
  readonly dice: Dice
  readonly frames: number
  /** At once. */
  readonly connections?: number
  /** By then it is answered or closed. Default 15,000. */
  readonly patienceMs?: number
  /** Called now and then with how many frames were sent; it is waited for. */
  readonly onProgress?: (sent: number) => Promise<void> | void
}

export interface FuzzReport {
  readonly sent: number
  readonly opened: number
  readonly answered: number
  /** By the code of the close frame. */
  readonly closed: ReadonlyMap<number, number>
  /** Neither answered nor closed with a reason. */
  readonly wrong: readonly string[]
}

const maxWrong = 20

/** Sends frames until so many are sent: after each handful the connection has to answer a message that is right, or to be closed with a code. */
export const fuzz = async (options: FuzzOptions): Promise<FuzzReport> => {
  const { port, dialects, dice, frames, connections = 4, patienceMs = 15_000, onProgress } = options
  let [sent, opened, answered, probes, toldAt] = [0, 0, 0, 0, 0]
  const closed = new Map<number, number>()
  const wrong: string[] = []

  /** What was sent last, for whoever wants to repeat it. */
  const handful = (dialect: Dialect): readonly RawFrame[] => {
    if (dice() < 0.1) return badFrames(dice)
    const isRough = dice() < 0.2
    return Array.from({ length: between(dice, 1, 30) }, () => dialect.message(dice, isRough))
  }

  const settle = async (socket: RawSocket, dialect: Dialect, last: readonly RawFrame[]): Promise<boolean> => {
    const word = `p${probes++}`
    socket.send(text(dialect.probe(word)))
    const isAnswered = (): boolean => socket.texts.some((each) => dialect.answers(each, word))
    const isThere = await until(() => isAnswered() || socket.end !== undefined, { timeoutMs: patienceMs, intervalMs: 1 }).catch(
      () => false,
    )
    const lastWords = last.slice(-5).map((frame) =>
      encodeFrame({ ...frame, masked: false })
        .subarray(0, 200)
        .toString('latin1'),
    )
    const complain = (what: string): void => {
      if (wrong.length < maxWrong) wrong.push(`${dialect.name}: ${what} after ${JSON.stringify(lastWords)}`)
    }
    if (!isThere) {
      complain('neither answered nor closed')
      return false
    }
    if (isAnswered()) answered++
    if (socket.end === undefined) return isAnswered()
    const { code } = socket.end
    if (code === undefined) complain('closed without a reason')
    else closed.set(code, (closed.get(code) ?? 0) + 1)
    return false
  }

  const converse = async (dialect: Dialect): Promise<void> => {
    const socket = await RawSocket.open(port, dialect.path)
    opened++
    for (let left = between(dice, 1, 12); left > 0 && sent < frames; left--) {
      const last = handful(dialect)
      socket.texts = []
      for (const frame of last) socket.send(frame)
      sent += last.length
      if (!(await settle(socket, dialect, last))) break
    }
    // Some leave in the middle of a word.
    if (dice() < 0.3) socket.write(encodeFrame({ ...text('never said in full'), declaredBytes: 4_000 }))
    socket.reset()
  }

  const speak = async (): Promise<void> => {
    while (sent < frames && wrong.length < maxWrong) {
      await converse(oneOf(dice, dialects))
      if (sent - toldAt < frames / 20) continue
      toldAt = sent
      await onProgress?.(sent)
    }
  }
  await Promise.all(Array.from({ length: connections }, speak))
  return { sent, opened, answered, closed, wrong }
}
