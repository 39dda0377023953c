import type { IncomingMessage, Server } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Refusal } from './hub.js'

/** Answers an upgrade as an ordinary request, and hangs up. */
export const refuse = (socket: Duplex, { status, body, headers = {} }: Refusal): void => {
  const text = JSON.stringify(body)
  const fields = {
    connection: 'close',
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    'cache-control': 'no-store',
    ...headers,
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n${lines.join('\r\n')}\r\n\r\n${text}`)
}

const aboutUpgrades: ReadonlySet<string> = new Set(['upgrade', 'http2-settings'])

/** The options of `Connection` but for those that speak of an upgrade. */
const otherOptions = (value: string): string =>
  value
    .split(',')
    .filter((option) => !aboutUpgrades.has(option.trim().toLowerCase()))
    .join(',')

const headWithoutUpgrade = ({ method, url, httpVersion, rawHeaders }: IncomingMessage): string => {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!
    const given = rawHeaders[index + 1]!
    const lower = name.toLowerCase()
    if (aboutUpgrades.has(lower)) continue
    const value = lower === 'connection' ? otherOptions(given) : given
    if (value.trim() !== '' || lower !== 'connection') lines.push(`${name}: ${value}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

/**
 * Serves a request whose wish for an upgrade is not granted, as a server may: it is read again without that wish, body and all. Some HTTP
 * clients ask every plain server for HTTP/2 in this way, and Node has left the request as soon as anybody listens for upgrades.
 */
export const serveWithoutUpgrade = (server: Server, request: IncomingMessage, socket: Duplex, rest: Buffer): void => {
  socket.unshift(Buffer.concat([Buffer.from(headWithoutUpgrade(request), 'latin1'), rest]))
  server.emit('connection', socket)
}
