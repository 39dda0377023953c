import { randomUUID } from 'node:crypto'
import { appendFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isTidemarkError, reasonOf, TidemarkError } from '../../errors.js'
import { type HealthFinding, type Logger, silentLogger } from '../../observability/observability.js'
import { ensureFolder, usable } from '../../state/files.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { formatDuration } from '../../time/durations.js'
import { fullJitter } from '../backoff.js'
import { positiveInteger } from '../checks.js'
import type { Journal, JournalBacklog, JournalEntry } from './journal.js'
import { encodeLine, type ReadLine } from './journal-line.js'
import type { Segment } from './segment.js'
import { SegmentFiles } from './segment-files.js'

export interface JournalOptions<T> {
  /** Letters, digits and dashes; the folder's name. */
  readonly name: string
  /** Where journals are kept, such as `state.path('journal')`. Made where it is missing. */
  readonly folder: string
  /**
   * Writes entries on, all or none of them; they come in the order in which they were appended here, and some come again after a crash or a
   * failure. Rejects while its store is away: what waits is tried again.
   */
  readonly write: (entries: readonly JournalEntry<T>[], signal: AbortSignal) => Promise<void>
  /** Whether it is the entry that the store refuses, for ever. Such a one is put aside, so that it holds up no other. Default: never. */
  readonly isRefused?: (error: unknown) => boolean
  /** Beyond it nothing is taken any more. Default 64 MiB. */
  readonly maxBytes?: number
  /** Given to the writer at once, at most. Default 200. */
  readonly maxBatch?: number
  readonly log?: Logger
  readonly clock?: Clock
  /** From 0 up to 1. */
  readonly random?: () => number
}

const segmentBytes = 1024 * 1024
const maxRefusedBytes = 4 * 1024 * 1024
/** A write that fails is tried again, and files that a dead process left are looked for. */
const backoff = { baseMs: 100, maxMs: 5_000 }
const lookAroundMs = 15_000
/** What waits longer than this shows on /health. */
const lateMs = 10_000

interface Waiting {
  readonly line: Buffer
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

class FileJournal<T> implements Journal<T> {
  readonly name: string
  readonly healthCheck: Journal<T>['healthCheck']
  readonly #options: Required<Omit<JournalOptions<T>, 'folder' | 'name'>>
  readonly #folder: string
  readonly #files: SegmentFiles
  readonly #stopping = new AbortController()
  /** Oldest first. The last may be the one that is written to. */
  #segments: Segment[] = []
  #current: Segment | undefined
  #queue: Waiting[] = []
  #queuedBytes = 0
  #refused = 0
  #failures = 0
  /** One at a time looks after the files. */
  #turn: Promise<unknown> = Promise.resolve()
  #isWriting = false
  #wake = (): void => {}
  #isWoken = false
  #idle: (() => void)[] = []
  #pumping: Promise<void> | undefined

  constructor(options: JournalOptions<T>, folder: string, files: SegmentFiles) {
    const { name, write, isRefused = () => false, maxBytes = 64 * 1024 * 1024, maxBatch = 200 } = options
    const { log = silentLogger, clock = systemClock, random = Math.random } = options
    positiveInteger({ maxBytes, maxBatch })
    this.name = name
    this.#folder = folder
    this.#files = files
    this.#options = { write, isRefused, maxBytes, maxBatch, log, clock, random }
    this.healthCheck = { name: `journal ${name}`, critical: false, check: () => this.#finding() }
  }

  async start(): Promise<void> {
    await this.#adopt()
    this.#pumping = this.#pump()
  }

  append(data: T, id: string = randomUUID()): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(new TidemarkError('TM_SERVER_STOPPING', {}))
    const line = encodeLine<T>({ id, at: this.#options.clock.now(), data })
    const { maxBytes } = this.#options
    if (this.backlog().bytes + this.#queuedBytes + line.length > maxBytes) {
      return Promise.reject(new TidemarkError('TM_RESILIENCE_JOURNAL_FULL', { name: this.name, maxBytes }))
    }
    this.#queuedBytes += line.length
    return new Promise((resolve, reject) => {
      this.#queue.push({ line, resolve, reject })
      void this.#write()
    })
  }

  /** Whatever came while one flush was under way goes with the next. */
  async #write(): Promise<void> {
    if (this.#isWriting) return
    this.#isWriting = true
    while (this.#queue.length > 0) {
      const batch = this.#queue
      this.#queue = []
      const failure = await this.#inTurn(() => this.#writeBatch(batch.map(({ line }) => line))).then(
        () => undefined,
        (error: unknown) => ({ error }),
      )
      for (const { resolve, reject } of batch) failure ? reject(failure.error) : resolve()
      this.#queuedBytes -= batch.reduce((sum, { line }) => sum + line.length, 0)
    }
    this.#isWriting = false
    this.#isWoken = true
    // After a failure only time helps, or somebody who knows that the store is back.
    if (this.#failures === 0) this.#wake()
  }

  async #writeBatch(lines: readonly Buffer[]): Promise<void> {
    await usable(this.#folder, async () => {
      const nowMs = this.#options.clock.now()
      const segment = this.#current ?? (await this.#begin(nowMs))
      try {
        await segment.append(lines, nowMs)
      } catch (error) {
        // Its end may be torn: nothing more goes into it.
        this.#current = undefined
        throw error
      }
      if (segment.bytes >= segmentBytes) this.#current = undefined
    })
  }

  async #begin(nowMs: number): Promise<Segment> {
    const segment = await this.#files.create(nowMs)
    this.#current = segment
    this.#segments.push(segment)
    return segment
  }

  #inTurn<R>(fn: () => Promise<R>): Promise<R> {
    const result = this.#turn.then(fn)
    this.#turn = result.catch(() => undefined)
    return result
  }

  #adopt(): Promise<void> {
    return this.#inTurn(async () => {
      const adopted = await usable(this.#folder, () => this.#files.adopt())
      if (adopted.length === 0) return
      this.#segments = [...this.#segments, ...adopted].sort((a, b) => (a.order < b.order ? -1 : 1))
      this.#options.log.info('a journal goes on with what another process left', { journal: this.name, files: adopted.length })
    })
  }

  async #pump(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      this.#isWoken = false
      const waitMs = await this.#round().catch((error: unknown) => this.#failed(error))
      if (waitMs > 0) await this.#pause(waitMs, signal)
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const waiting = new AbortController()
    const end = (): void => waiting.abort()
    signal.addEventListener('abort', end, { once: true })
    this.#wake = end
    if (signal.aborted || (this.#isWoken && this.#failures === 0)) end()
    await this.#options.clock.sleep(ms, waiting.signal).catch(() => undefined)
    signal.removeEventListener('abort', end)
    this.#wake = () => {}
  }

  #failed(error: unknown): number {
    this.#failures += 1
    const { log, random } = this.#options
    const waitMs = Math.max(1, fullJitter(this.#failures, { ...backoff, random }))
    if (this.#failures === 1 && !this.#stopping.signal.aborted)
      log.warn('a journal keeps what cannot be written on now', { journal: this.name, err: error })
    return waitMs
  }

  /** How long to wait for the next one. */
  async #round(): Promise<number> {
    const [segment] = this.#segments
    if (!segment || segment.entries === 0) {
      if (segment) await this.#inTurn(() => this.#close(segment))
      if (this.#segments.some(({ entries }) => entries > 0)) return 0
      if (!this.#isWriting) for (const resolve of this.#idle.splice(0)) resolve()
      await this.#adopt()
      return this.#segments.length > 0 && this.#segments[0]!.entries > 0 ? 0 : lookAroundMs
    }
    const lines = await this.#inTurn(() => segment.read<T>())
    for (let at = 0; at < lines.length && !this.#stopping.signal.aborted; at += this.#options.maxBatch) {
      const batch = lines.slice(at, at + this.#options.maxBatch)
      await this.#writeOn(batch)
      const next = lines.slice(at + batch.length).find(({ entry }) => entry)
      segment.passed(batch.length, sumBytes(batch), next?.entry?.at ?? null)
      if (this.#failures > 0) this.#options.log.info('a journal writes on again', { journal: this.name })
      this.#failures = 0
    }
    return 0
  }

  async #writeOn(lines: readonly ReadLine<T>[]): Promise<void> {
    const entries = lines.flatMap(({ entry }) => (entry ? [entry] : []))
    if (entries.length < lines.length)
      this.#options.log.error('a journal has lines that were damaged on disk', {
        journal: this.name,
        lines: lines.length - entries.length,
      })
    if (entries.length === 0) return
    const { write, isRefused } = this.#options
    const { signal } = this.#stopping
    try {
      await write(entries, signal)
    } catch (error) {
      if (!isRefused(error)) throw error
      if (entries.length === 1) return this.#putAside(entries[0]!, error)
      // One of them is at fault: it is found by writing each alone.
      for (const line of lines) await this.#writeOn([line])
    }
  }

  async #putAside(entry: JournalEntry<T>, error: unknown): Promise<void> {
    this.#refused += 1
    const path = join(this.#folder, 'refused.jsonl')
    this.#options.log.error('a journal puts aside what its store refuses', { journal: this.name, id: entry.id, path, err: error })
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    )
    if (size < maxRefusedBytes)
      await usable(path, () => appendFile(path, `${JSON.stringify({ ...entry, reason: reasonOf(error) })}\n`, { mode: 0o600 }))
  }

  /** The one that is written to begins anew, an older one goes. */
  async #close(segment: Segment): Promise<void> {
    if (segment.entries > 0) return
    if (segment === this.#current) {
      if (segment.bytes > 0) await segment.clear()
      return
    }
    this.#segments = this.#segments.filter((kept) => kept !== segment)
    await segment.remove()
  }

  backlog(): JournalBacklog {
    const [first] = this.#segments.filter(({ entries }) => entries > 0)
    return {
      entries: this.#segments.reduce((sum, { entries }) => sum + entries, 0),
      bytes: this.#segments.reduce((sum, { bytes }) => sum + bytes, 0),
      oldestAt: first?.oldestAt ?? null,
      refused: this.#refused,
    }
  }

  wake(): void {
    this.#isWoken = true
    this.#wake()
  }

  async drained(): Promise<void> {
    if (!this.#isWriting && this.backlog().entries === 0) return
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve)
      this.wake()
    })
  }

  #finding(): HealthFinding {
    const { entries, oldestAt, refused } = this.backlog()
    const aside = refused > 0 ? `; ${refused} were refused and put aside` : ''
    if (entries === 0) return { status: refused > 0 ? 'degraded' : 'up', detail: `nothing waits${aside}` }
    const ageMs = Math.max(0, this.#options.clock.now() - (oldestAt ?? this.#options.clock.now()))
    const detail = `${entries} entries wait, the oldest for ${formatDuration(ageMs)}${aside}`
    return { status: ageMs > lateMs || refused > 0 ? 'degraded' : 'up', detail }
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new TidemarkError('TM_SERVER_STOPPING', {}))
    await this.#pumping
    while (this.#isWriting) await this.#turn
    for (const segment of this.#segments) {
      const end = segment.entries === 0 ? segment.remove() : this.#files.release(segment)
      await end.catch((err: unknown) => {
        if (!isTidemarkError(err))
          this.#options.log.warn('a file of a journal could not be let go of', { journal: this.name, err })
      })
    }
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

const sumBytes = (lines: readonly ReadLine<unknown>[]): number => lines.reduce((sum, { bytes }) => sum + bytes, 0)

/** Opens the journal of that name, and goes on with what an earlier process left in it. Raises TM_STATE_FOLDER_UNUSABLE. */
export const openJournal = async <T>(options: JournalOptions<T>): Promise<Journal<T>> => {
  const { name } = options
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) {
    throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', {
      option: 'name',
      value: name,
      expected: 'letters, digits and dashes in lower case',
    })
  }
  const folder = join(options.folder, name)
  await usable(folder, () => ensureFolder(folder, 0o700))
  const journal = new FileJournal<T>(options, folder, await SegmentFiles.open(folder))
  await journal.start()
  return journal
}
