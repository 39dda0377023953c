import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { Hub } from '../hub/hub.js'
import type { TopicListener, TopicMessage, TopicSubscription } from '../realtime.js'
import type { OpenTopics } from '../topics/topics.js'
import type { ConnectionEntry, ConnectionPage, ConnectionQuery, Connections, EndedConnection } from './connections.js'

export interface ConnectionsOptions {
  readonly hub: Pick<Hub, 'clients' | 'end' | 'connections'>
  /** Undefined while the server starts: its own connections alone. */
  topics(): Pick<OpenTopics, 'subscribe' | 'publish' | 'reach'> | undefined
  readonly log: Logger
  readonly clock?: Clock
  /** Who has not answered by then is counted as silent. Default 1,000. */
  readonly patienceMs?: number
}

/** No protocol's: clients cannot name it. */
const askTopic = 'connections:ask'
const defaultPatienceMs = 1_000
const mostPerPage = 500

/** What one node has of a page. */
interface NodePage {
  readonly node: string
  readonly total: number
  readonly entries: readonly ConnectionEntry[]
  readonly more: boolean
}

type Question = { readonly type: 'list'; readonly query: ConnectionQuery } | { readonly type: 'end'; readonly id: string }
type Asked = Question & { readonly from: string; readonly number: number }
type Answer = NodePage | EndedConnection
interface Answered {
  readonly number: number
  readonly answer: Answer
}

interface Waiting {
  readonly most: number
  readonly answers: Answer[]
  readonly done: () => void
}

const splitId = (id: string): readonly [node: string, number: string] => {
  const [node = '', number = ''] = id.split('.')
  return [node, number]
}

const inOrder = (one: ConnectionEntry, other: ConnectionEntry): number => {
  const [[node, number], [otherNode, otherNumber]] = [splitId(one.id), splitId(other.id)]
  return node === otherNode ? Number(number) - Number(otherNumber) : node < otherNode ? -1 : 1
}

const read = <T>({ body }: TopicMessage): T | undefined => {
  try {
    return JSON.parse(body.toString()) as T
  } catch {
    return undefined
  }
}

class NodeConnections implements Connections {
  readonly #options: ConnectionsOptions
  readonly #clock: Clock
  readonly #short = randomBytes(6).toString('hex')
  readonly #name = `${hostname()}:${process.pid}:${this.#short}`
  readonly #waiting = new Map<number, Waiting>()
  #heard: readonly TopicSubscription[] = []
  #number = 0

  constructor(options: ConnectionsOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** From now on other nodes are answered. */
  attach(): void {
    this.stop()
    const topics = this.#options.topics()
    if (!topics) return
    const listener = (take: (message: TopicMessage) => void): TopicListener => ({ id: this.#name, message: take })
    this.#heard = [
      topics.subscribe(
        askTopic,
        listener((message) => void this.#asked(read<Asked>(message))),
      ),
      topics.subscribe(
        this.#answerTopic(this.#short),
        listener((message) => this.#answered(read<Answered>(message))),
      ),
    ]
  }

  stop(): void {
    for (const subscription of this.#heard) subscription.close()
    this.#heard = []
    for (const { done } of this.#waiting.values()) done()
  }

  #answerTopic(node: string): string {
    return `connections:answer:${node}`
  }

  async list(query: ConnectionQuery): Promise<ConnectionPage> {
    const limit = Math.min(query.limit, mostPerPage)
    const bounded = { ...query, limit }
    const others = this.#others
    const [own, answers] = await Promise.all([this.#own(bounded), this.#ask({ type: 'list', query: bounded }, others)])
    const pages = [own, ...answers].filter((answer): answer is NodePage => 'entries' in answer)
    const found = pages.flatMap(({ entries }) => entries).sort(inOrder)
    const connections = found.slice(0, limit)
    const hasMore = found.length > limit || pages.some(({ more }) => more)
    return {
      connections,
      next: hasMore ? (connections.at(-1)?.id ?? null) : null,
      nodes: pages.map(({ node, total }) => ({ node, connections: total })).sort((a, b) => (a.node < b.node ? -1 : 1)),
      silent: others - answers.length,
    }
  }

  async end(id: string): Promise<EndedConnection | undefined> {
    const own = this.#endOwn(id)
    if (own || splitId(id)[0] === this.#short) return own
    // One of the others has it, and the rest says nothing.
    const [answer] = await this.#ask({ type: 'end', id }, Math.min(1, this.#others))
    return answer && 'code' in answer ? answer : undefined
  }

  get #others(): number {
    return this.#options.topics()?.reach().others ?? 0
  }

  /** What this node has behind the cursor. */
  async #own({ node, after, ...query }: ConnectionQuery): Promise<NodePage> {
    const { hub } = this.#options
    const page = { node: this.#name, total: hub.connections() }
    const [afterNode, afterNumber] = splitId(after ?? '')
    if ((node !== undefined && node !== this.#name) || this.#short < afterNode) return { ...page, entries: [], more: false }
    const { clients, more } = await hub.clients({
      ...query,
      limit: Math.min(query.limit, mostPerPage),
      after: this.#short === afterNode ? afterNumber : undefined,
    })
    return { ...page, entries: clients.map((each) => ({ ...each, id: `${this.#short}.${each.id}`, node: this.#name })), more }
  }

  /** Undefined where it is another node's, too. */
  #endOwn(id: string): EndedConnection | undefined {
    const [node, number] = splitId(id)
    const ended = node === this.#short ? this.#options.hub.end(number) : undefined
    return ended && { id, node: this.#name, ...ended }
  }

  /** The answers that came in time, at most so many. */
  async #ask(question: Question, most: number): Promise<readonly Answer[]> {
    if (most === 0) return []
    const number = ++this.#number
    const answers: Answer[] = []
    const enough = new AbortController()
    this.#waiting.set(number, { most, answers, done: () => enough.abort() })
    try {
      await this.#publish(askTopic, { ...question, from: this.#short, number } satisfies Asked)
      await this.#clock.sleep(this.#options.patienceMs ?? defaultPatienceMs, enough.signal).catch(() => undefined)
    } finally {
      this.#waiting.delete(number)
    }
    return answers
  }

  #answered(answered: Answered | undefined): void {
    const waiting = answered && this.#waiting.get(answered.number)
    if (!waiting || waiting.answers.length === waiting.most) return
    waiting.answers.push(answered.answer)
    if (waiting.answers.length === waiting.most) waiting.done()
  }

  async #asked(asked: Asked | undefined): Promise<void> {
    if (!asked || asked.from === this.#short) return
    const answer = asked.type === 'list' ? await this.#own(asked.query) : this.#endOwn(asked.id)
    if (answer) await this.#publish(this.#answerTopic(asked.from), { number: asked.number, answer } satisfies Answered)
  }

  async #publish(topic: string, what: object): Promise<void> {
    const { topics, log } = this.#options
    const message = { topic, body: Buffer.from(JSON.stringify(what)), except: this.#name }
    await topics()
      ?.publish(message)
      .catch((error: unknown) => log.debug('other servers were not asked for connections', { reason: reasonOf(error) }))
  }
}

export interface OpenConnections extends Connections {
  attach(): void
}

/** Opens it; other nodes are asked, and answered, from `attach` on. */
export const openConnections = (options: ConnectionsOptions): OpenConnections => new NodeConnections(options)
