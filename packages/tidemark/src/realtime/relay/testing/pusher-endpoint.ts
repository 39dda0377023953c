/** A server that takes what Pusher's HTTP API takes, and checks it with the code of Pusher's own library. */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'

const require = createRequire(import.meta.url)
const Token = require('pusher/lib/token') as new (
  key: string,
  secret: string,
) => { readonly key: string; verify(text: string, signature: string): boolean }
const { getMD5 } = require('pusher/lib/util') as { readonly getMD5: (body: string) => string }

export interface Told {
  readonly channel: string
  readonly name: string
  readonly data: Record<string, unknown>
}

export interface PusherEndpoint {
  readonly url: string
  /** Everything that was taken, in order. */
  readonly told: readonly Told[]
  /** Of the requests that were taken: how many events each held. */
  readonly batches: readonly number[]
  /** Why requests were refused. */
  readonly refused: readonly string[]
  /** What it answers from now on in place of 200; undefined: 200 again. 0 hangs up. */
  answer(status: number | undefined): void
  /** Answers each request so much later from now on. */
  delay(ms: number): void
  stop(): Promise<void>
}

const token = new Token('278d425bdf160c739803', '7ad3773142a6692b25b8')

const faultOf = (method: string, url: URL, body: string): string | undefined => {
  const query = Object.fromEntries(url.searchParams)
  if (query['auth_key'] !== token.key) return 'unknown key'
  if (query['body_md5'] !== getMD5(body)) return 'body_md5 is not of the body'
  if (Math.abs(Number(query['auth_timestamp']) - Date.now() / 1000) > 600) return 'too old'
  const { auth_signature: signature = '', ...signed } = query
  const names = Object.keys(signed).sort()
  const text = [method, url.pathname, names.map((name) => `${name}=${signed[name]}`).join('&')].join('\n')
  return token.verify(text, signature) ? undefined : 'the signature is wrong'
}

export const startPusherEndpoint = async (): Promise<PusherEndpoint> => {
  const told: Told[] = []
  const batches: number[] = []
  const refused: string[] = []
  let status: number | undefined
  let delayMs = 0
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      if (status === 0) return void request.socket.destroy()
      const url = new URL(request.url ?? '/', 'http://endpoint')
      const fault = faultOf(request.method ?? '', url, body)
      const isKnown = url.pathname === '/apps/3/batch_events'
      const batch = (JSON.parse(body) as { batch: { channel: string; name: string; data: string }[] }).batch
      const isFull = batch.length > 10 || batch.some(({ data }) => Buffer.byteLength(data) > 10_240)
      const poison = batch.some(({ name }) => name === 'poison')
      const code = status ?? (fault ? 401 : !isKnown ? 404 : isFull ? 413 : poison ? 400 : 200)
      if (code === 200) {
        batches.push(batch.length)
        told.push(...batch.map(({ channel, name, data }) => ({ channel, name, data: JSON.parse(data) as Told['data'] })))
      } else refused.push(fault ?? String(code))
      setTimeout(() => response.writeHead(code, { 'content-type': 'application/json' }).end('{}'), delayMs)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://278d425bdf160c739803:7ad3773142a6692b25b8@127.0.0.1:${(server.address() as AddressInfo).port}/apps/3`,
    told,
    batches,
    refused,
    answer: (next) => {
      status = next
    },
    delay: (ms) => {
      delayMs = ms
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
