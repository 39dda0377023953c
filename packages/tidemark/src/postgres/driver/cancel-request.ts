import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import pg from 'pg'

/** What node-postgres has and its types leave out. */
interface Wire extends EventEmitter {
  readonly stream: Duplex
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processID: number, secretKey: number): void
}

interface Backend {
  readonly processID: number | null
  readonly secretKey: number | null
}

const timeoutMs = 1_000

/**
 * Asks the server to end the statement that the client runs: over a connection of its own, as the protocol has it, which
 * also works where a pooler stands between and `pg_cancel_backend` would name somebody else's session. Never raises.
 */
export const cancelRequest = (client: pg.Client): Promise<void> => {
  const { processID, secretKey } = client as unknown as Backend
  if (processID === null || secretKey === null) return Promise.resolve()
  const connection = new pg.Connection({ ssl: client.ssl }) as unknown as Wire
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      connection.stream.destroy()
      resolve()
    }
    const timer = setTimeout(done, timeoutMs)
    const ask = () => connection.cancel(processID, secretKey)
    connection.on('error', done)
    // The server hangs up once it has passed the request on.
    connection.on('end', done)
    connection.on('connect', () => (client.ssl ? connection.requestSsl() : ask()))
    connection.on('sslconnect', ask)
    if (client.host.startsWith('/')) connection.connect(`${client.host}/.s.PGSQL.${client.port}`)
    else connection.connect(client.port, client.host)
  })
}
