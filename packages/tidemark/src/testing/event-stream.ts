/** Server-Sent Events as a browser reads them, without its reconnecting. */

export interface StreamEvent {
  readonly id: string
  readonly event: string
  readonly data: Record<string, unknown>
}

export interface EventStream {
  /** Everything that came, in order. */
  readonly events: readonly StreamEvent[]
  /** Of the last event that had one: what `Last-Event-ID` is. */
  readonly lastEventId: string
  /** Drops the link. */
  drop(): void
}

const parseEvent = (block: string): { readonly id?: string; readonly event?: StreamEvent } => {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? []
    if (name !== '') fields.set(name, name === 'data' && fields.has('data') ? `${fields.get('data')}\n${value}` : value)
  }
  const [id, data] = [fields.get('id'), fields.get('data')]
  return {
    ...(id !== undefined && { id }),
    ...(data !== undefined && {
      event: { id: id ?? '', event: fields.get('event') ?? 'message', data: JSON.parse(data) as StreamEvent['data'] },
    }),
  }
}

/** Resolves once the server has answered. */
export const openEventStream = async (url: string, headers: Record<string, string>): Promise<EventStream> => {
  const link = new AbortController()
  const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers }, signal: link.signal })
  if (!response.ok || !response.body) throw new Error(`the stream was answered with ${response.status}: ${await response.text()}`)
  const events: StreamEvent[] = []
  let lastEventId = ''
  let text = ''
  const take = (block: string): void => {
    const { id, event } = parseEvent(block)
    if (id !== undefined) lastEventId = id
    if (event) events.push(event)
  }
  const read = async (body: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true })
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        take(text.slice(0, end))
        text = text.slice(end + 2)
      }
    }
  }
  // A dropped link ends the reading with an error, as it should.
  void read(response.body).catch(() => undefined)
  return {
    events,
    get lastEventId() {
      return lastEventId
    },
    drop: () => link.abort(),
  }
}
