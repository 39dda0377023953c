import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { reasonOf } from '../../errors.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { ReplaySender, type SentEvent } from '../replay/send-replays.js'
import { Background } from './background.js'
import { openFallbackWorkers } from './fallback-workers.js'
import { createNap, type Nap } from './nap.js'
import { createRedisLeases, createRowLeases } from './partitions/leases.js'
import type { OwnedPartition } from './partitions/owned-partition.js'
import { OwnedPartitions } from './partitions/owned-partitions.js'
import { Ownership } from './partitions/ownership.js'
import { Pause } from './pause.js'
import { wakeDue, wakeRetries, wakeSent } from './queues/due-lanes.js'
import type { Backlog, Queue } from './queues/queue.js'
import { readEvents } from './queues/reader.js'
import { createRowQueue } from './queues/row-queue.js'
import { createStreamQueue } from './queues/stream-queue.js'
import { sweep } from './queues/sweep.js'
import { EventRunner } from './runs/event-runner.js'
import { createWorkerMetrics, type WorkerMetrics } from './worker-metrics.js'
import { resolveWorkerSettings } from './worker-settings.js'
import type { WorkerSettings, Workers, WorkersOptions, WorkersState } from './workers.js'

const tickMs = 1_000
const retryTickMs = 250
const tendMs = 15_000
/** How often it is looked whether a replay is wanted, and how often one that runs is gone on with. */
const replayTickMs = 500
const sendTickMs = 20
/** How long what was given up may take to notice it. */
const givenUpMs = 500

const createName = (): string => `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`

class WorkerProcess implements Workers {
  readonly #options: WorkersOptions
  readonly #settings: WorkerSettings
  readonly #clock: Clock
  readonly #log: Logger
  readonly #name: string
  readonly #queue: Queue
  readonly #metrics: WorkerMetrics
  readonly #ownership: Ownership
  readonly #runner: EventRunner
  /** Ends the loops. */
  readonly #ending = new AbortController()
  /** Ends handlers that run. */
  readonly #stopping = new AbortController()
  readonly #background: Background
  readonly #nap: Nap
  readonly #pause: Pause
  readonly #owned: OwnedPartitions
  readonly #waitsThere: boolean
  #loops: readonly Promise<void>[] = []
  #isPumping = false
  #turn = 0
  #backlogs = new Map<number, Backlog>()
  #dead = new Map<string, number>()
  #unlisten: () => void = () => undefined
  #stopped: Promise<void> | undefined

  constructor(options: WorkersOptions, name: string, blocking: Parameters<typeof createStreamQueue>[0]['blocking']) {
    const { pool, redis, handlers, partitions = 1, clock = systemClock, log = silentLogger, random = Math.random } = options
    this.#options = options
    this.#waitsThere = blocking !== undefined
    this.#settings = resolveWorkerSettings(options.settings)
    this.#clock = clock
    this.#log = log
    this.#name = name
    this.#metrics = createWorkerMetrics(options.metrics)
    this.#background = new Background(log)
    const ending = this.#ending.signal
    this.#nap = createNap(clock, ending)
    const { signals } = options
    const shared = { pool, clock, log, background: this.#background }
    this.#pause = new Pause({ ...shared, signals, name, ending, resumed: () => this.wake() })
    const hasRedis = redis.state !== 'absent'
    const { trimAfterMs, leaseMs } = this.#settings
    const told = {
      signals,
      deleted: (_partition: number, count: number) => this.#metrics.deleted(count),
      claimed: (_partition: number, count: number) => this.#metrics.claimed(count),
    }
    this.#queue = hasRedis
      ? createStreamQueue({ redis, blocking, name, partitions, trimAfterMs, clock, log, ...told })
      : createRowQueue({ pool, clock, wait: (ms) => this.#nap.take(ms) })
    this.#ownership = new Ownership({
      pool,
      name,
      partitions,
      clock,
      log,
      random,
      leases: hasRedis ? createRedisLeases(redis, name, partitions, leaseMs) : createRowLeases(pool, name, leaseMs),
      areRows: !hasRedis,
      settings: this.#settings,
      taken: (partition, taken) => this.#owned.taken(partition, taken),
      lost: (partition) => this.#owned.lost(partition),
      retire: (partition) => this.#owned.retire(partition),
    })
    this.#owned = new OwnedPartitions({
      ...shared,
      redis,
      partitions,
      queue: this.#queue,
      changed: () => this.#pump(),
      opened: () => this.#nap.wake(),
      drop: (partition) => this.#ownership.drop(partition),
      forget: (partition) => this.#forget(partition),
      failed: (error) => this.#pause.beginFor(error),
    })
    this.#runner = new EventRunner({
      pool,
      worker: name,
      handlers,
      random,
      log,
      clock,
      settings: this.#settings,
      queue: this.#queue,
      metrics: this.#metrics,
      stopping: this.#stopping.signal,
      outage: (reason) => this.#pause.begin(reason),
      lost: ({ number }) => this.#ownership.drop(number),
      ended: () => this.#pump(),
      died: ({ provider }, reason) => {
        const subject = `${provider}|${reason}`
        this.#dead.set(subject, (this.#dead.get(subject) ?? 0) + 1)
      },
    })
  }

  get state(): WorkersState {
    const owned = this.#owned.all
    const sum = (read: (partition: OwnedPartition) => number): number => owned.reduce((total, each) => total + read(each), 0)
    const backlogs = [...this.#backlogs.values()]
    return {
      name: this.#name,
      owned: owned.map(({ number }) => number).sort((one, other) => one - other),
      paused: this.#pause.reason,
      held: sum(({ lanes }) => lanes.held),
      running: this.#runner.running,
      parkedLanes: sum(({ lanes }) => lanes.parked),
      backlog: backlogs.reduce((total, { events }) => total + events, 0),
      oldestMs: Math.max(0, ...backlogs.map(({ oldestMs }) => oldestMs)),
    }
  }

  start(): void {
    let wasDown = false
    this.#unlisten = this.#options.redis.onState((state) => {
      if (state === 'down') wasDown = true
      else if (wasDown && state === 'up') this.#owned.reopenAll()
    })
    this.#loops = [
      this.#every(Math.min(tickMs, this.#settings.heartbeatMs), () => this.#tick()),
      this.#every(Math.min(tendMs, this.#settings.sweepAfterMs), () => this.#tend()),
      this.#sendReplays(),
      readEvents({
        queue: this.#queue,
        owned: this.#owned,
        pause: this.#pause,
        nap: this.#nap,
        settings: this.#settings,
        waitsThere: this.#waitsThere,
        ending: this.#ending.signal,
        log: this.#log,
      }),
      ...(this.#queue.kind === 'stream'
        ? [
            this.#every(retryTickMs, () => wakeRetries(this.#options.pool, this.#queue, this.#owned.reading)),
            this.#every(tickMs, () => this.#drain()),
          ]
        : []),
    ]
  }

  wake(): void {
    this.#nap.wake()
    this.#pump()
  }

  async idle(): Promise<void> {
    await until(
      async () => {
        const { held, running } = this.state
        const { all } = this.#owned
        if (held > 0 || running > 0 || !all.every(({ isReading, lanes }) => isReading && lanes.isEmpty)) return false
        const backlogs = await Promise.all(all.map(({ number }) => this.#queue.backlog(number)))
        return all.length > 0 && backlogs.every(({ events }) => events === 0)
      },
      { what: 'The handling of all events', timeoutMs: 600_000 },
    )
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#ending.abort()
    this.#unlisten()
    const { all } = this.#owned
    const quiet = this.#owned.retireAll()
    this.#nap.wake()
    await Promise.race([quiet, this.#clock.sleep(this.#settings.stopTimeoutMs)])
    this.#stopping.abort(new Error('the worker stops'))
    await Promise.race([quiet, this.#clock.sleep(givenUpMs)])
    // What it held and did not begin is the next owner's, at once.
    for (const { number } of all) await this.#queue.leave(number).catch(() => undefined)
    await this.#ownership.stop()
    this.#owned.loseAll()
    await this.#queue.stop()
    await Promise.allSettled(this.#loops)
    await this.#background.ended()
  }

  /** Repeats something until the end. What it raises is logged, and tried again. */
  async #every(ms: number | (() => number), work: () => Promise<void>): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        await work()
      } catch (error) {
        this.#log.debug('something that workers do regularly failed', { reason: reasonOf(error) })
        this.#pause.beginFor(error)
      }
      await this.#clock.sleep(typeof ms === 'number' ? ms : ms(), signal).catch(() => undefined)
    }
  }

  async #tick(): Promise<void> {
    await this.#ownership.tick()
    this.#tellOfDead()
    if (this.#pause.reason !== undefined) return
    const { pool } = this.#options
    await wakeDue(pool, this.#owned.reading)
    this.#pump()
  }

  async #drain(): Promise<void> {
    if (this.#pause.reason === undefined && this.#options.redis.state === 'up') await this.#owned.drain()
  }

  /** Sends what operators want sent again, of the partitions that this process has. */
  async #sendReplays(): Promise<void> {
    const { pool, renormalise, partitions: all = 1 } = this.#options
    const { replayPerSecond, concurrency } = this.#settings
    const sender = new ReplaySender({ pool, renormalise, worker: this.#name })
    // Half of what runs at a time, so that as much is left for what comes.
    const most = Math.max(1, Math.floor(concurrency / 2))
    const isUnderWay = ({ partition, lane }: SentEvent) => this.#owned.get(partition)?.lanes.isBusy(lane) ?? false
    let tickMs = replayTickMs
    let sentAtMs = Number.NEGATIVE_INFINITY
    const replay = async (): Promise<void> => {
      tickMs = replayTickMs
      const partitions = [...this.#owned.reading.keys()].sort((one, other) => one - other)
      if (this.#pause.reason !== undefined || partitions.length === 0) return
      const nowMs = this.#clock.monotonicMs()
      const perSecond = (replayPerSecond * partitions.length) / all
      const count = Math.floor(Math.min((perSecond * (nowMs - sentAtMs)) / 1_000, most))
      if (count > 0) {
        const sent = await sender.send({
          partitions,
          partitionsFrom: partitions[0] === 0 ? all : undefined,
          count,
          most,
          isUnderWay,
        })
        if (sent === undefined) return
        if (sent.length > 0) sentAtMs = nowMs
        wakeSent(this.#owned.reading, sent)
        this.#pump()
      }
      tickMs = sendTickMs
    }
    await this.#every(() => tickMs, replay)
  }

  /** Many that die together are told of together. */
  #tellOfDead(): void {
    for (const [subject, count] of this.#dead) {
      const [provider = '', reason = ''] = subject.split('|')
      const message = `${count} events of ${provider} became dead letters: ${reason}.`
      this.#options.signals?.raise({ name: 'webhooks.dead', subject: provider, message, details: { provider, reason, count } })
    }
    this.#dead.clear()
  }

  async #tend(): Promise<void> {
    const { pool } = this.#options
    for (const partition of this.#owned.reading.values()) {
      const swept = await sweep({ pool, queue: this.#queue, afterMs: this.#settings.sweepAfterMs }, partition)
      if (swept > 0) this.#log.warn('events were in no stream and are handled from their rows', { count: swept })
      await this.#queue.tend(partition.number)
      const backlog = await this.#queue.backlog(partition.number)
      this.#backlogs.set(partition.number, backlog)
      this.#metrics.backlog(partition.number, backlog)
    }
    this.#metrics.parked(this.state.parkedLanes)
    this.#pump()
  }

  #forget(number: number): void {
    this.#backlogs.delete(number)
    this.#metrics.forget(number)
  }

  /** Begins what may run. Not at once: what arrives together may run together. */
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    setImmediate(() => {
      this.#isPumping = false
      this.#beginAll()
    })
  }

  #beginAll(): void {
    const { all } = this.#owned
    // It goes on where it stopped: a partition with much to do keeps no other from having its turn.
    for (let idle = 0; idle < all.length; ) {
      if (this.#pause.reason !== undefined || this.#ending.signal.aborted || !this.#runner.hasRoom) return
      const partition = all[this.#turn++ % all.length]!
      idle = partition.mayRun && this.#runner.begin(partition) ? 0 : idle + 1
    }
  }
}

const openProcess = async (options: WorkersOptions): Promise<Workers> => {
  const name = createName()
  const { redis, connect } = options
  // Nobody waits at several masters of a cluster at once.
  const blocking = redis.state === 'absent' || redis.cluster ? undefined : await connect?.(`tidemark webhooks`)
  const workers = new WorkerProcess(options, name, blocking)
  workers.start()
  return workers
}

/** Starts to handle events. Handlers may be registered before and after. Raises TM_WEBHOOKS_BAD_OPTION. */
export const openWorkers = (options: WorkersOptions): Promise<Workers> => {
  const goesOn = options.settings?.whenRedisIsDown === 'handle' && options.redis.state !== 'absent'
  return goesOn ? openFallbackWorkers(options, openProcess) : openProcess(options)
}
