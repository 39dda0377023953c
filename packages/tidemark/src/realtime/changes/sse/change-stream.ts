import type { ServerResponse } from 'node:http'
import type { Caller } from '../../../auth/caller.js'
import { formatPosition, type Position } from '../../../feed/position.js'
import type { Binding, ChangeListener, ChangeSubscription, Changes, Gap, VisibleChange } from '../../realtime.js'
import { type EventPlace, formatEventId } from './event-id.js'

export interface ChangeStreamOptions {
  readonly changes: Changes
  readonly caller: Caller
  readonly bindings: readonly Binding[]
  /** Of `Last-Event-ID`. `unknown`: there was one that is none of ours. */
  readonly from: EventPlace | 'unknown' | undefined
  readonly response: ServerResponse
  /** What may wait for the client before it is cut off. */
  readonly maxBufferedBytes: number
  /** A sign of life, and how far the client is, as often as this. Default 15,000. */
  readonly heartbeatMs?: number
  /** Called once when the client was cut off. */
  readonly cutOff?: (reason: 'slow') => void
}

export interface ChangeStream {
  /** Says why, and ends the response. */
  end(reason: string): void
}

/** Texts of changes, made once for all clients that are told the same. */
const frames = new WeakMap<VisibleChange, string>()

const headOf = ({ event, schema, table, committedAt, position, ordinal }: VisibleChange): string =>
  JSON.stringify({
    event,
    schema,
    table,
    commit_timestamp: committedAt.toISOString(),
    position: formatPosition(position),
    ordinal,
  }).slice(0, -1)

const frameOf = (change: VisibleChange): string => {
  const known = frames.get(change)
  if (known !== undefined) return known
  const { columnsJson, recordJson, oldRecordJson, errors } = change
  const record = recordJson === undefined ? '' : `,"record":${recordJson}`
  const old = oldRecordJson === undefined ? '' : `,"old_record":${oldRecordJson}`
  const data = `${headOf(change)},"columns":${columnsJson}${record}${old},"errors":${JSON.stringify(errors)}}`
  // A value of type json may be written over several lines; within its strings there are no line ends.
  const frame = `id: ${formatEventId(change)}\nevent: change\ndata: ${data.replaceAll(/\r\n|\r|\n/g, ' ')}\n\n`
  frames.set(change, frame)
  return frame
}

const frame = (event: string, data: object, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

class SseStream implements ChangeStream, ChangeListener {
  readonly #options: ChangeStreamOptions
  readonly #response: ServerResponse
  readonly #heartbeat: NodeJS.Timeout
  #subscription: ChangeSubscription | undefined
  #place: EventPlace | undefined
  #corked = false
  #ended = false

  constructor(options: ChangeStreamOptions) {
    this.#options = options
    this.#response = options.response
    this.#heartbeat = setInterval(() => this.#beat(), options.heartbeatMs ?? 15_000)
    this.#heartbeat.unref()
  }

  begin(subscription: ChangeSubscription): void {
    this.#subscription = subscription
    this.#response.once('close', () => this.#stop())
    if (this.#response.destroyed || this.#ended) {
      this.#stop()
      return
    }
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    const { start, beginsWithGap = false } = subscription
    const place = { position: start, ordinal: undefined }
    // Whoever is to hear of a gap keeps the id that it has until then.
    const isPlace = !beginsWithGap && this.#options.from !== 'unknown'
    if (isPlace) this.#place = place
    const ready = frame('ready', { position: formatPosition(start) }, isPlace ? formatEventId(place) : undefined)
    this.#write(`retry: 1000\n\n${ready}`)
    if (this.#options.from === 'unknown') {
      this.gap({ reason: 'lost', position: subscription.start, message: 'The Last-Event-ID is none of this server.' })
    }
  }

  change(change: VisibleChange): void {
    this.#place = { position: change.position, ordinal: change.ordinal }
    this.#write(frameOf(change))
  }

  gap({ reason, table, position, message }: Gap): void {
    this.#place = { position, ordinal: undefined }
    const data = { reason, table, position: formatPosition(position), message }
    this.#write(frame('gap', data, formatEventId({ position, ordinal: undefined })))
  }

  passed(position: Position): void {
    // In the middle of a transaction the client is behind a change of it, not before all of them.
    const { epoch, number } = this.#place?.position ?? position
    if (epoch !== position.epoch || position.number >= number) this.#place = { position, ordinal: undefined }
  }

  hasRoom(): boolean {
    return this.#response.writableLength < this.#options.maxBufferedBytes / 4
  }

  slow(): void {
    if (this.#ended) return
    // It resumes with its Last-Event-ID.
    this.#options.cutOff?.('slow')
    this.#stop()
    this.#response.destroy()
  }

  failed(reason: string): void {
    this.end(reason)
  }

  end(reason: string): void {
    if (this.#ended) return
    this.#write(frame('end', { reason }))
    this.#stop()
    this.#response.end()
  }

  /** Nothing was written, and nothing will be. */
  abandon(): void {
    this.#stop()
  }

  /** Without data nothing is dispatched, and yet the client remembers the id. */
  #beat(): void {
    const place = this.#place
    if (place) this.#write(`: still here\nid: ${formatEventId(place)}\n\n`)
  }

  /** What comes within one turn leaves together. */
  #write(text: string): void {
    if (this.#ended) return
    if (!this.#corked) {
      this.#corked = true
      this.#response.cork()
      setImmediate(() => {
        this.#corked = false
        this.#response.uncork()
      })
    }
    this.#response.write(text)
    if (this.#response.writableLength > this.#options.maxBufferedBytes) this.slow()
  }

  #stop(): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#heartbeat)
    this.#subscription?.close()
  }
}

/**
 * Tells changes as Server-Sent Events: `ready` with the position from which on nothing is missing, `change`, `gap` where something is, and `end`
 * with a reason. Every id resumes by `Last-Event-ID`. Raises what `listen` raises, before anything is written.
 */
export const openChangeStream = async (options: ChangeStreamOptions): Promise<ChangeStream> => {
  const { changes, caller, bindings, from } = options
  const stream = new SseStream(options)
  const resumed = typeof from === 'object' ? { from: from.position, ordinal: from.ordinal } : {}
  try {
    stream.begin(await changes.listen({ caller, bindings, listener: stream, ...resumed }))
  } catch (error) {
    stream.abandon()
    throw error
  }
  return stream
}
