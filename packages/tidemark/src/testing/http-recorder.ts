/** A real HTTP server that answers as it is told and remembers what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

export interface Reply {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Answers once this is done. */
  readonly after?: Promise<unknown>
}

export interface HttpRecorder {
  readonly url: string
  readonly requests: RecordedRequest[]
  /** From here on. */
  answer(how: (request: RecordedRequest) => Reply): void
  stop(): Promise<void>
}

export const startHttpRecorder = async (): Promise<HttpRecorder> => {
  const requests: RecordedRequest[] = []
  let how: (request: RecordedRequest) => Reply = () => ({})
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const recorded = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    }
    requests.push(recorded)
    const { status = 200, body = {}, headers = {}, after } = how(recorded)
    await after
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (next) => {
      how = next
    },
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
