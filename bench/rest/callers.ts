/** HTTP callers that cost as little as possible, so that what is measured is the server: one socket each, one request at a time. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const headEnd = Buffer.from('\r\n\r\n')

export class Caller {
  readonly #socket: Socket
  #pending: { resolve(body: Buffer): void; reject(error: Error): void; status: number } | undefined
  #read: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('error', (error) => this.#pending?.reject(error))
    socket.on('close', () => this.#pending?.reject(new Error('the server hung up')))
  }

  static async open(port: number): Promise<Caller> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Caller(socket)
  }

  /** Sends a whole request. Raises where the answer's status is another. */
  ask(request: string, status: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject, status }
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#read = this.#read.length === 0 ? bytes : Buffer.concat([this.#read, bytes])
    const end = this.#read.indexOf(headEnd)
    if (end < 0) return
    const head = this.#read.toString('latin1', 0, end)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
    const pending = this.#pending
    if (Number.isNaN(length)) {
      pending?.reject(new Error(`an answer without its length: ${head}`))
      return
    }
    if (this.#read.length < end + 4 + length) return
    const body = this.#read.subarray(end + 4, end + 4 + length)
    this.#read = this.#read.subarray(end + 4 + length)
    this.#pending = undefined
    if (head.startsWith(`HTTP/1.1 ${pending?.status}`)) pending?.resolve(body)
    else pending?.reject(new Error(`${head.split('\r\n')[0]}: ${body.toString()}`))
  }
}

export interface Load {
  readonly port: number
  readonly callers: number
  readonly ms: number
  /** The n-th request, head and body. */
  request(n: number): string
  readonly status: number
}

export interface LoadResult {
  readonly perSecond: number
  readonly requests: number
  /** Of one request, in milliseconds, sorted. */
  readonly latencies: readonly number[]
}

let asked = 0

/** So many callers, each of whom waits for its answer, for so long. */
export const runLoad = async ({ port, callers, ms, request, status }: Load): Promise<LoadResult> => {
  const sockets = await Promise.all(Array.from({ length: callers }, () => Caller.open(port)))
  const latencies: number[] = []
  const startedAt = performance.now()
  const work = async (caller: Caller): Promise<void> => {
    for (let at = performance.now(); at - startedAt < ms; ) {
      await caller.ask(request(asked++), status)
      const now = performance.now()
      latencies.push(now - at)
      at = now
    }
  }
  try {
    await Promise.all(sockets.map(work))
  } finally {
    for (const socket of sockets) socket.close()
  }
  const perSecond = (latencies.length / (performance.now() - startedAt)) * 1000
  return { perSecond, requests: latencies.length, latencies: latencies.sort((a, b) => a - b) }
}
