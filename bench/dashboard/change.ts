import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { WebSocketServer } from 'ws'
import { percentile, ratios } from '../measuring/statistics.ts'
import { wait } from './frames.ts'
import { inTurns, type Part } from './part.ts'

interface Watched {
  readonly document: { readonly body: { readonly textContent: string | null } }
  readonly performance: { readonly timeOrigin: number; now(): number }
  readonly requestAnimationFrame: (drawn: () => void) => number
  readonly MutationObserver: new (changed: () => void) => { observe(node: unknown, options: object): void }
  readonly WebSocket: new (url: string) => { onmessage: ((event: { readonly data: string }) => void) | null }
  wanted: string
  shown: Promise<number>
}

/** What is not shown after so long is missing. */
const patienceMs = 30_000

const now = (): number => performance.timeOrigin + performance.now()

/** The moment at which a text is on the page, by the page's own clock, which is this machine's. */
const shownAt = (page: Page) => ({
  expect: (text: string) =>
    page.evaluate((wanted) => {
      const watched = globalThis as unknown as Watched
      watched.shown = new Promise((resolve) => {
        const look = (): void => {
          if (watched.document.body.textContent?.includes(wanted))
            watched.requestAnimationFrame(() => resolve(watched.performance.timeOrigin + watched.performance.now()))
        }
        new watched.MutationObserver(look).observe(watched.document.body, { childList: true, subtree: true, characterData: true })
      })
    }, text),
  at: () =>
    Promise.race([page.evaluate(() => (globalThis as unknown as Watched).shown), wait(patienceMs)]).then((at) => {
      if (typeof at !== 'number') throw new Error('a change was never shown')
      return at
    }),
})

/** A page that shows what a bare WebSocket tells it, once a frame. */
const bareWebSocket = async (page: Page) => {
  // A page of the same origin: browsers ask before others may reach a loopback address.
  const http = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><body></body>')
  })
  const server = new WebSocketServer({ server: http })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  await page.goto(`http://127.0.0.1:${port}/`)
  const joined = once(server, 'connection', { signal: AbortSignal.timeout(patienceMs) })
  await page.evaluate((at) => {
    const watched = globalThis as unknown as Watched & { socket: unknown }
    const socket = new watched.WebSocket(`ws://127.0.0.1:${at}`)
    watched.socket = socket
    socket.onmessage = ({ data }) => {
      watched.requestAnimationFrame(() => {
        ;(watched.document.body as { textContent: string }).textContent = data
      })
    }
  }, port)
  await joined
  return {
    send: (text: string) => {
      for (const client of server.clients) client.send(text)
    },
    stop: () => {
      for (const client of server.clients) client.terminate()
      server.close()
      http.closeAllConnections()
      http.close()
    },
  }
}

/** R134: from the commit to the screen, in turns with a bare WebSocket to a bare page. */
export const change: Part = async ({ sql, open, window }, { rounds, changes, signal }) => {
  await sql.query('create table measured (id bigint generated always as identity primary key, body text)')
  const { context, page } = await open('/feed?tables=public.measured')
  await page.getByText(/^live, /).waitFor()
  const bare = await window()
  const barePage = await bare.newPage()
  const socket = await bareWebSocket(barePage)
  const [ours, theirs] = [shownAt(page), shownAt(barePage)]
  const taken = { p50: [] as number[], p99: [] as number[], bare50: [] as number[], bare99: [] as number[] }
  const sides = {
    ours: async (text: string): Promise<number> => {
      await ours.expect(text)
      await sql.query('insert into measured (body) values ($1)', [text])
      const committed = now()
      return (await ours.at()) - committed
    },
    theirs: async (text: string): Promise<number> => {
      await theirs.expect(text)
      const sent = now()
      socket.send(text)
      return (await theirs.at()) - sent
    },
  }
  let n = 0
  await inTurns(rounds, signal, async () => {
    const [one, other]: [number[], number[]] = [[], []]
    for (let each = 0; each < changes; each++) {
      one.push(await sides.ours(`change ${++n} of ours`))
      other.push(await sides.theirs(`change ${n} of theirs`))
      // Not always at the same moment of a frame.
      await wait(Math.random() * 20)
    }
    one.sort((a, b) => a - b)
    other.sort((a, b) => a - b)
    taken.p50.push(percentile(one, 0.5))
    taken.p99.push(percentile(one, 0.99))
    taken.bare50.push(percentile(other, 0.5))
    taken.bare99.push(percentile(other, 0.99))
  })
  socket.stop()
  await Promise.all([context.close(), bare.close()])
  const p50 = { name: 'dashboard-change-p50-ms', values: taken.p50 }
  const p99 = { name: 'dashboard-change-p99-ms', values: taken.p99 }
  return {
    figures: [
      { ...p50, unit: 'ms from the commit to the screen' },
      { ...p99, unit: 'ms' },
      { name: 'bare-websocket p50', values: taken.bare50, unit: 'ms from sending to the screen' },
      { name: 'bare-websocket p99', values: taken.bare99, unit: 'ms' },
    ],
    measures: [p50, p99, { name: 'dashboard-change-p50', baseline: 'bare-websocket', values: ratios(taken.p50, taken.bare50) }],
    targets: [{ measure: p99, what: 'R134: a change shows within 200 ms of its commit, 99 of 100', limit: 200, needsRoom: true }],
  }
}
