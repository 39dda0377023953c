/** Many clients in one process, as cheap as they can be: whoever measures should not be what is measured. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { answerCalls, type CrowdCalls, type Opening } from './words.ts'

const [text, binary, ping, pong] = [1, 2, 9, 10]
const noMask = Buffer.alloc(4)
const nothing = Buffer.alloc(0)
/** How far a word of a frame is looked for. */
const headBytes = 256

/** With a mask of zeros, which leaves the bytes as they are. */
const frameOf = (opcode: number, payload: Buffer): Buffer => {
  const { length } = payload
  const head =
    length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | length])
      : Buffer.from([0x80 | opcode, 0x80 | 126, length >> 8, length & 255])
  return Buffer.concat([head, noMask, payload])
}

let counted: Buffer | undefined
let total = 0
let ages: number[] = []
let lastAt = 0
let wake: () => void = () => undefined
let wanted = Number.POSITIVE_INFINITY

const nowMs = (): number => performance.timeOrigin + performance.now()
const asked = Buffer.from('"asked_at":')

const count = (client: Client, frame: Buffer): void => {
  if (counted && frame.subarray(0, headBytes).indexOf(counted) < 0) return
  client.heard++
  total++
  lastAt = nowMs()
  if (counted) {
    const at = frame.indexOf(asked)
    if (at >= 0) ages.push(lastAt - Number.parseFloat(frame.toString('latin1', at + asked.length, at + asked.length + 20)))
  }
  if (total >= wanted) wake()
}

class Client {
  heard = 0
  readonly #socket: Socket
  readonly #greet: () => void
  readonly #answer: Buffer | undefined
  #answersLeft: number
  #settled: () => void
  #rest = nothing
  #upgraded = false

  constructor(socket: Socket, greet: (client: Client) => void, answer: Buffer | undefined, answers: number, settled: () => void) {
    this.#socket = socket
    this.#greet = () => greet(this)
    this.#answer = answer
    this.#answersLeft = answers
    this.#settled = settled
    socket.setNoDelay(true)
    socket.on('data', (data: Buffer) => this.#take(data))
  }

  send(payload: string): void {
    this.#socket.write(frameOf(text, Buffer.from(payload)))
  }

  sendAll(payloads: readonly string[]): void {
    this.#socket.write(Buffer.concat(payloads.map((payload) => frameOf(text, Buffer.from(payload)))))
  }

  end(): void {
    this.#socket.destroy()
  }

  #take(data: Buffer): void {
    let buffer = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data
    if (!this.#upgraded) {
      const end = buffer.indexOf('\r\n\r\n')
      if (end >= 0) {
        const status = buffer.toString('latin1', 9, 12)
        if (status !== '101') throw new Error(`the upgrade was answered with ${buffer.toString('latin1', 0, 500)}`)
        this.#upgraded = true
        buffer = buffer.subarray(end + 4)
        this.#greet()
        if (!this.#answer) this.#settled()
      }
    }
    let at = 0
    while (this.#upgraded && buffer.length - at >= 2) {
      let length = buffer[at + 1]! & 127
      let from = at + 2
      if (length === 126) {
        if (buffer.length < at + 4) break
        length = buffer.readUInt16BE(at + 2)
        from = at + 4
      } else if (length === 127) {
        if (buffer.length < at + 10) break
        length = Number(buffer.readBigUInt64BE(at + 2))
        from = at + 10
      }
      if (buffer.length < from + length) break
      this.#hear(buffer[at]! & 15, buffer.subarray(from, from + length))
      at = from + length
    }
    this.#rest = at === buffer.length ? nothing : Buffer.from(buffer.subarray(at))
  }

  #hear(opcode: number, payload: Buffer): void {
    if (opcode === ping) this.#socket.write(frameOf(pong, payload))
    if (opcode !== text && opcode !== binary) return
    if (this.#answersLeft > 0 && this.#answer) {
      if (payload.indexOf('"status":"error"') >= 0) throw new Error(`refused: ${payload.toString().slice(0, 500)}`)
      if (payload.indexOf(this.#answer) < 0) return
      this.#answersLeft--
      if (this.#answersLeft === 0) this.#settled()
      return
    }
    count(this, payload)
  }
}

const clients: Client[] = []

const openOne = (opening: Opening, n: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const { port, path, greetings, answer, answers = 1, tokens } = opening
    const socket = connect(port, '127.0.0.1')
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`socket ${n} was closed`)))
    const token = tokens?.[n % tokens.length] ?? ''
    const greet = (client: Client): void => {
      if (greetings.length > 0)
        client.sendAll(greetings.map((text) => text.replaceAll('{n}', String(n)).replaceAll('{token}', token)))
    }
    clients.push(new Client(socket, greet, answer === undefined ? undefined : Buffer.from(answer), answers, resolve))
    const key = randomBytes(16).toString('base64')
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
    )
  })

const atOnce = 50

const open = async (opening: Opening): Promise<{ readonly opened: number }> => {
  counted = opening.counted === undefined ? undefined : Buffer.from(opening.counted)
  let next = 0
  const opener = async (): Promise<void> => {
    while (next < opening.count) await openOne(opening, next++)
  }
  await Promise.all(Array.from({ length: atOnce }, opener))
  reset()
  return { opened: clients.length }
}

const reset = (): void => {
  for (const client of clients) client.heard = 0
  total = 0
  ages = []
  wanted = Number.POSITIVE_INFINITY
}

const until = (frames: number, timeoutMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${total} of ${frames} frames came in ${timeoutMs} ms`)), timeoutMs)
    wake = () => {
      clearTimeout(timer)
      wanted = Number.POSITIVE_INFINITY
      resolve()
    }
    wanted = frames
    if (total >= wanted) wake()
  })

const roundTimeoutMs = 60_000

answerCalls<CrowdCalls>({
  open,
  rounds: async ({ frames, times }: CrowdCalls['rounds']['given']) => {
    const [sender, ...listeners] = clients
    const lastMs: number[] = []
    for (let time = 0; time < times; time++) {
      reset()
      const done = until(listeners.length * frames.length, roundTimeoutMs)
      const startedAt = performance.now()
      sender!.sendAll(frames)
      await done
      lastMs.push(performance.now() - startedAt)
      const wrong = listeners.find(({ heard }) => heard !== frames.length)
      if (wrong) throw new Error(`a client was told ${wrong.heard} of ${frames.length} messages`)
    }
    return { lastMs }
  },
  heard: async ({ frames, timeoutMs }: CrowdCalls['heard']['given']) => {
    await until(frames, timeoutMs)
    const each = clients.map(({ heard }) => heard)
    const found = { ages, lastAt, most: Math.max(...each), least: Math.min(...each) }
    reset()
    return found
  },
  limit: () => ({ files: Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim()) || 1_000_000 }),
  close: () => {
    for (const client of clients.splice(0)) client.end()
    reset()
    return {}
  },
})
