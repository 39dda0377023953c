/** Callers of the REST interface: each asks, waits for the answer and asks again. Nothing is tried twice. */
import { request } from 'node:http'

export interface LoadTotals {
  readonly reads: number
  readonly writes: number
  /** In milliseconds, unsorted. */
  readonly latencies: readonly number[]
  /** What was answered other than it had to, and how often. */
  readonly failures: ReadonlyMap<string, number>
}

export interface Load {
  totals(): LoadTotals
  /** Ends when everybody has got their answer. */
  stop(): Promise<LoadTotals>
}

interface Ask {
  readonly port: number
  readonly key: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
}

/** The status, or the code of what went wrong. */
const ask = ({ port, key, method, path, body }: Ask): Promise<number | string> =>
  new Promise((resolve) => {
    const headers = { apikey: key, 'content-type': 'application/json', prefer: 'return=minimal', connection: 'close' }
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false, timeout: 30_000 }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode!))
      answer.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
    sent.once('timeout', () => sent.destroy(new Error('no answer within 30 s')))
    sent.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    sent.end(body)
  })

/** Every fourth request writes a row into `visits`, unless there is no such table. */
export const startLoad = (port: number, key: string, callers: number, { writes: isWriting = true } = {}): Load => {
  let [reads, writes, next, running] = [0, 0, 0, true]
  const latencies: number[] = []
  const failures = new Map<string, number>()
  const call = async (): Promise<void> => {
    while (running) {
      const n = ++next
      const isWrite = isWriting && n % 4 === 0
      const at = performance.now()
      const status = await ask(
        isWrite
          ? { port, key, method: 'POST', path: '/rest/v1/visits', body: JSON.stringify({ n }) }
          : { port, key, method: 'GET', path: '/rest/v1/oracle?select=id&order=id.desc&limit=1' },
      )
      latencies.push(performance.now() - at)
      if (status === (isWrite ? 201 : 200)) isWrite ? writes++ : reads++
      else {
        const what = `${isWrite ? 'POST' : 'GET'} ${status}`
        failures.set(what, (failures.get(what) ?? 0) + 1)
      }
    }
  }
  const calls = Array.from({ length: callers }, call)
  const totals = (): LoadTotals => ({ reads, writes, latencies, failures })
  return {
    totals,
    stop: async () => {
      running = false
      await Promise.all(calls)
      return totals()
    },
  }
}
