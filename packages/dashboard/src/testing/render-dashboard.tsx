import { createMemoryHistory } from '@tanstack/react-router'
import { act, configure, render } from '@testing-library/react'
import type { SessionAnswer } from 'tidemark/admin'
import { onTestFinished, vi } from 'vitest'
import type { Answer, Path } from '../api/ask.ts'
import { createQueryClient } from '../api/query-client.ts'
import { Dashboard } from '../shell/dashboard.tsx'

// A screen is loaded when it is opened, which takes its time on a busy machine.
configure({ asyncUtilTimeout: 15_000, getElementError: (message) => new Error(message?.slice(0, 2_000)) })

/** A request as the server would see it. */
export interface Asked {
  readonly name: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

type Given<P extends Path> = Answer<P> | ((asked: Asked) => Answer<P> | Response | Promise<Answer<P> | Response>)

/** What the server answers, by path; whatever is not here is answered with 404. */
export type Answers = { readonly [P in Path]?: Given<P> }

export const failing = (status: number, code: string, message: string, fix?: string): Response =>
  Response.json({ error: { code, message, fix } }, { status })

export const session: SessionAnswer = {
  operator: { name: 'ann@example.com', role: 'admin' },
  csrf: 'proof',
  endsAt: '2099-01-01T00:00:00.000Z',
  environment: 'test',
  version: '0.1.0',
}

/** A stream of the page, which a test speaks through. */
export class TestEventSource {
  static readonly CLOSED = 2
  static opened: TestEventSource[] = []
  readonly url: string
  readyState = 0
  onopen: (() => void) | null = null
  onerror: (() => void) | null = null
  readonly #listeners = new Map<string, ((event: unknown) => void)[]>()

  constructor(url: string) {
    this.url = url
    TestEventSource.opened.push(this)
  }

  addEventListener(type: string, listener: (event: unknown) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }

  open(): void {
    this.readyState = 1
    act(() => this.onopen?.())
  }

  emit(type: string, data: unknown, id = ''): void {
    for (const listener of this.#listeners.get(type) ?? []) listener({ data: JSON.stringify(data), lastEventId: id })
  }

  /** As where the answer was no stream: the browser does not try again. */
  refuse(): void {
    this.close()
    act(() => this.onerror?.())
  }

  close(): void {
    this.readyState = TestEventSource.CLOSED
  }
}

class TestPath {
  rect() {}
  moveTo() {}
  lineTo() {}
  arc() {}
  closePath() {}
  addPath() {}
}

/** What happy-dom lacks: sizes, and the context that charts draw on. */
const standIns = (): void => {
  vi.stubGlobal('EventSource', TestEventSource)
  // For good: a chart that a test leaves behind is drawn a moment later.
  Object.assign(globalThis, { Path2D: TestPath })
  const context = new Proxy({}, { get: (kept: Record<string | symbol, unknown>, name) => kept[name] ?? (() => ({ width: 10 })) })
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(context as never)
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(600)
  vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(800)
}

/** The whole dashboard at an address, over answers that a test gives. */
export const renderDashboard = (path: string, answers: Answers) => {
  const asked: Asked[] = []
  const known: Answers = { 'GET /session': session, ...answers }
  const nameOf = (method: string, { pathname }: URL): string => {
    const exact = `${method} ${pathname.replace('/admin/v1', '')}`
    if (exact in known) return exact
    return (
      Object.keys(known).find((name) => name.includes(':') && new RegExp(`^${name.replace(/:\w+/g, '[^/]+')}$`).test(exact)) ??
      exact
    )
  }
  TestEventSource.opened = []
  standIns()
  vi.stubGlobal('fetch', async (address: string, init: RequestInit = {}) => {
    const url = new URL(address, 'http://localhost')
    const name = nameOf(init.method ?? 'GET', url)
    const one: Asked = {
      name,
      url,
      headers: init.headers as Asked['headers'],
      body: init.body === undefined ? undefined : JSON.parse(String(init.body)),
    }
    asked.push(one)
    const given = (known as Readonly<Record<string, unknown>>)[name]
    if (given === undefined) return failing(404, 'TM_SERVER_NOT_FOUND', `nothing at ${name}`)
    const answer: unknown = typeof given === 'function' ? await given(one) : given
    return answer instanceof Response ? answer.clone() : Response.json(answer)
  })
  const client = createQueryClient()
  client.setDefaultOptions({ queries: { ...client.getDefaultOptions().queries, retry: false } })
  const history = createMemoryHistory({ initialEntries: [path] })
  const view = render(<Dashboard client={client} history={history} />)
  onTestFinished(() => {
    view.unmount()
    client.clear()
    vi.unstubAllGlobals()
    vi.restoreAllMocks()
  })
  return {
    ...view,
    asked,
    /** Of a path, the newest last. */
    askedFor: (name: Path) => asked.filter((one) => one.name === name),
    address: () => history.location.href,
    /** What is kept of answers, to questions and to what was done. */
    cached: (): readonly unknown[] =>
      [...client.getQueryCache().getAll(), ...client.getMutationCache().getAll()].map(({ state }) => state),
  }
}
