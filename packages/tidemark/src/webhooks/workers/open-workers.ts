import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { isTidemarkError, reasonOf } from '../../errors.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { sendReplays } from '../replay/send-replays.js'
import { wakeDue, wakeRetries } from './due-lanes.js'
import { EventRunner } from './event-runner.js'
import { createRedisLeases, createRowLeases, type Taken } from './leases.js'
import { OwnedPartition } from './owned-partition.js'
import { Ownership } from './ownership.js'
import { type Queue, QueueLost } from './queue.js'
import { createRowQueue } from './row-queue.js'
import { drainSpool, respool, spoolingPartitions } from './spool.js'
import { createStreamQueue } from './stream-queue.js'
import { sweep } from './sweep.js'
import { createWorkerMetrics, type WorkerMetrics } from './worker-metrics.js'
import { resolveWorkerSettings } from './worker-settings.js'
import type { WorkerSettings, Workers, WorkersOptions, WorkersState } from './workers.js'

const tickMs = 1_000
const retryTickMs = 250
const tendMs = 15_000
const replayTickMs = 500
const readWaitMs = 1_000
/** While some partitions hold as much as they may, reads of the others must not keep those waiting. */
const shortWaitMs = 20
/** Without a connection that may wait, streams are asked this often. */
const pollMs = 25
const outageMs = 500

const createName = (): string => `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`

interface Backlogs {
  readonly events: number
  readonly oldestMs: number
}

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
  readonly #partitions = new Map<number, OwnedPartition>()
  /** Ends the loops. */
  readonly #ending = new AbortController()
  /** Ends handlers that run. */
  readonly #stopping = new AbortController()
  #loops: readonly Promise<void>[] = []
  #background = new Set<Promise<void>>()
  #paused: string | undefined
  #isPumping = false
  #turn = 0
  #wake: (() => void) | undefined
  #backlogs = new Map<number, Backlogs>()
  #dead = new Map<string, number>()
  #unlisten: () => void = () => undefined
  #stopped: Promise<void> | undefined

  constructor(options: WorkersOptions, name: string, blocking: Parameters<typeof createStreamQueue>[0]['blocking']) {
    const { pool, redis, handlers, partitions = 1, clock = systemClock, log = silentLogger, random = Math.random } = options
    this.#options = options
    this.#settings = resolveWorkerSettings(options.settings)
    this.#clock = clock
    this.#log = log
    this.#name = name
    this.#metrics = createWorkerMetrics(options.metrics)
    const hasRedis = redis.state !== 'absent'
    const { trimAfterMs, leaseMs } = this.#settings
    const told = {
      signals: options.signals,
      deleted: (_partition: number, count: number) => this.#metrics.deleted(count),
      claimed: (_partition: number, count: number) => this.#metrics.claimed(count),
    }
    this.#queue = hasRedis
      ? createStreamQueue({ redis, blocking, name, partitions, trimAfterMs, clock, log, ...told })
      : createRowQueue({ pool, clock, wait: (ms) => this.#nap(ms) })
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
      taken: (partition, taken) => this.#taken(partition, taken),
      lost: (partition) => this.#lost(partition),
      retire: (partition) => this.#retire(partition),
    })
    this.#runner = new EventRunner({
      pool,
      handlers,
      random,
      log,
      clock,
      settings: this.#settings,
      queue: this.#queue,
      metrics: this.#metrics,
      stopping: this.#stopping.signal,
      outage: (reason) => this.#pause(reason),
      lost: ({ number }) => this.#ownership.drop(number),
      ended: () => this.#pump(),
      died: ({ provider }, reason) => {
        const subject = `${provider}|${reason}`
        this.#dead.set(subject, (this.#dead.get(subject) ?? 0) + 1)
      },
    })
  }

  get state(): WorkersState {
    const owned = [...this.#partitions.values()]
    const sum = (read: (partition: OwnedPartition) => number): number => owned.reduce((total, each) => total + read(each), 0)
    const backlogs = [...this.#backlogs.values()]
    return {
      name: this.#name,
      owned: owned.map(({ number }) => number).sort((one, other) => one - other),
      paused: this.#paused,
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
      else if (wasDown && state === 'up') this.#reopenAll()
    })
    this.#loops = [
      this.#every(Math.min(tickMs, this.#settings.heartbeatMs), () => this.#tick()),
      this.#every(Math.min(tendMs, this.#settings.sweepAfterMs), () => this.#tend()),
      this.#every(replayTickMs, () => this.#replay()),
      this.#read(),
      ...(this.#queue.kind === 'stream'
        ? [
            this.#every(retryTickMs, () => wakeRetries(this.#options.pool, this.#queue, this.#reading())),
            this.#every(tickMs, () => this.#drain()),
          ]
        : []),
    ]
  }

  wake(): void {
    this.#wake?.()
    this.#pump()
  }

  async idle(): Promise<void> {
    await until(
      async () => {
        const { held, running } = this.state
        const all = [...this.#partitions.values()]
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
    const all = [...this.#partitions.values()]
    for (const partition of all) {
      partition.isReading = false
      partition.isRetiring = true
    }
    this.#wake?.()
    const quiet = Promise.all(all.map((partition) => partition.quiet())).then(() => undefined)
    await Promise.race([quiet, this.#clock.sleep(this.#settings.stopTimeoutMs)])
    this.#stopping.abort(new Error('the worker stops'))
    await Promise.race([quiet, this.#clock.sleep(outageMs)])
    // What it held and did not begin is the next owner's, at once.
    for (const { number } of all) await this.#queue.leave(number).catch(() => undefined)
    await this.#ownership.stop()
    for (const partition of all) partition.lose()
    this.#partitions.clear()
    await this.#queue.stop()
    await Promise.allSettled([...this.#loops, ...this.#background])
  }

  /** Repeats something until the end. What it raises is logged, and tried again. */
  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        await work()
      } catch (error) {
        this.#log.debug('something that workers do regularly failed', { reason: reasonOf(error) })
        this.#pauseFor(error)
      }
      await this.#clock.sleep(ms, signal).catch(() => undefined)
    }
  }

  async #tick(): Promise<void> {
    await this.#ownership.tick()
    this.#tellOfDead()
    if (this.#paused !== undefined) return
    const { pool } = this.#options
    await wakeDue(pool, this.#reading())
    this.#pump()
  }

  /** Not part of a tick: many rows take longer than a lease. */
  async #drain(): Promise<void> {
    const { pool, redis } = this.#options
    if (this.#paused !== undefined || redis.state !== 'up') return
    for (const number of await spoolingPartitions(pool, [...this.#reading().keys()])) {
      const partition = this.#partitions.get(number)
      if (partition) await drainSpool(this.#spool(), partition)
    }
  }

  #spool() {
    const { pool, redis, partitions = 1 } = this.#options
    return { pool, redis, partitions, queue: this.#queue }
  }

  /** Who has the first partition sends what operators want sent again. */
  async #replay(): Promise<void> {
    if (this.#paused !== undefined || !this.#reading().has(0)) return
    const { pool, renormalise } = this.#options
    const sent = await sendReplays(
      { pool, renormalise },
      Math.max(1, Math.round((this.#settings.replayPerSecond * replayTickMs) / 1000)),
    )
    if (sent > 0) await wakeDue(pool, this.#reading())
    this.#pump()
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
    for (const partition of this.#reading().values()) {
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

  #reading(): ReadonlyMap<number, OwnedPartition> {
    return new Map([...this.#partitions].filter(([, { isReading, mayRun }]) => isReading && mayRun))
  }

  #taken(number: number, { epoch, lostBy }: Taken): void {
    const { pool } = this.#options
    const log = this.#log.child('partition', { partition: number })
    const shared = { number, epoch, pool, log, queue: this.#queue, clock: this.#clock }
    const partition = new OwnedPartition({ ...shared, changed: () => this.#pump() })
    this.#partitions.set(number, partition)
    log.debug('taken', { epoch, lostBy: lostBy ?? '' })
    this.#inBackground(this.#takeUp(partition, lostBy !== undefined))
  }

  async #takeUp(partition: OwnedPartition, crashed: boolean): Promise<void> {
    const { number, epoch } = partition
    try {
      if (await this.#queue.isMissing(number)) {
        // Of a partition that was handled before, a stream without its group is one that Redis lost.
        if (epoch !== '1') await this.#makeGood(partition)
        await this.#queue.create(number)
      }
      await partition.takeUp(crashed)
      partition.isReading = !partition.isRetiring
      this.#wake?.()
    } catch (error) {
      if (partition.isLost) return
      this.#log.warn('a partition could not be taken up; it is tried again', { partition: number, reason: reasonOf(error) })
      this.#pauseFor(error)
      await this.#clock.sleep(outageMs)
      if (this.#partitions.get(number) === partition) this.#ownership.drop(number)
    }
  }

  async #makeGood(partition: OwnedPartition): Promise<void> {
    this.#log.warn('a stream was lost; what is not done goes through it anew', { partition: partition.number })
    await respool(this.#spool(), partition)
  }

  #lost(number: number): void {
    const partition = this.#partitions.get(number)
    this.#partitions.delete(number)
    this.#backlogs.delete(number)
    this.#metrics.forget(number)
    partition?.lose()
  }

  async #retire(number: number): Promise<void> {
    const partition = this.#partitions.get(number)
    if (!partition) return
    partition.isReading = false
    partition.isRetiring = true
    await partition.quiet()
    await this.#queue.leave(number).catch(() => undefined)
    if (this.#partitions.get(number) === partition) this.#lost(number)
  }

  /** Redis may have forgotten what it was told last: what it holds is read anew, and rows tell what of it is done. */
  #reopenAll(): void {
    for (const partition of this.#partitions.values()) this.#reopen(partition)
  }

  #reopen(partition: OwnedPartition): void {
    partition.isReading = false
    partition.isRetiring = true
    this.#inBackground(
      partition.quiet().then(() => {
        if (this.#partitions.get(partition.number) === partition) this.#ownership.drop(partition.number)
      }),
    )
  }

  #inBackground(work: Promise<void>): void {
    const tracked = work.catch((error: unknown) => this.#log.warn('a partition is in trouble', { reason: reasonOf(error) }))
    this.#background.add(tracked)
    void tracked.finally(() => this.#background.delete(tracked))
  }

  async #read(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        await this.#readOnce()
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof QueueLost) await this.#reopenMissing().catch(() => this.#nap(outageMs))
        else {
          this.#log.debug('nothing could be read', { reason: reasonOf(error) })
          this.#pauseFor(error)
          await this.#nap(outageMs)
        }
      }
    }
  }

  async #readOnce(): Promise<void> {
    const reading = this.#reading()
    const hungry = new Map(
      [...reading].flatMap(([number, { lanes, epoch }]) => (lanes.held < this.#settings.held ? [[number, epoch] as const] : [])),
    )
    if (hungry.size === 0 || this.#paused !== undefined) {
      await this.#nap(reading.size > hungry.size ? shortWaitMs : tickMs)
      return
    }
    const waitMs = hungry.size < reading.size ? shortWaitMs : readWaitMs
    const readings = await this.#queue.read(hungry, this.#settings.batch, waitMs)
    for (const { partition: number, events } of readings) {
      const partition = this.#partitions.get(number)
      // What was read for a partition that is lost is in the pending list: its next owner takes it from there.
      if (partition?.epoch === hungry.get(number)) await partition?.arrive(events)
    }
    if (readings.length === 0 && this.#queue.kind === 'stream' && this.#options.connect === undefined) await this.#nap(pollMs)
  }

  async #reopenMissing(): Promise<void> {
    for (const partition of this.#reading().values()) {
      if (await this.#queue.isMissing(partition.number)) this.#reopen(partition)
    }
  }

  async #nap(ms: number): Promise<void> {
    const napping = new AbortController()
    const wake = (): void => napping.abort()
    this.#wake = wake
    this.#ending.signal.addEventListener('abort', wake, { once: true })
    await this.#clock.sleep(ms, napping.signal).catch(() => undefined)
    this.#ending.signal.removeEventListener('abort', wake)
  }

  #pauseFor(error: unknown): void {
    if (isTidemarkError(error) && error.code.startsWith('TM_POSTGRES_')) this.#pause(reasonOf(error))
  }

  /** Nothing is begun until Postgres answers again: no event is to blame for it, and none becomes a dead letter. */
  #pause(reason: string): void {
    if (this.#paused !== undefined) return
    this.#paused = reason
    this.#log.warn('events wait: Postgres does not take them', { reason })
    this.#options.signals?.raise({ name: 'webhooks.paused', subject: this.#name, message: `Events wait: ${reason}` })
    this.#inBackground(this.#resume())
  }

  async #resume(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      await this.#clock.sleep(outageMs, signal).catch(() => undefined)
      const answers = await this.#options.pool.query('select 1').then(
        () => true,
        () => false,
      )
      if (!answers) continue
      this.#paused = undefined
      this.#log.info('events are handled again')
      this.#options.signals?.raise({ name: 'webhooks.resumed', subject: this.#name, message: 'Events are handled again.' })
      this.wake()
      return
    }
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
    for (let hasBegun = true; hasBegun; ) {
      hasBegun = false
      for (const partition of this.#partitions.values()) {
        if (this.#paused !== undefined || this.#ending.signal.aborted || !this.#runner.hasRoom) return
        if (partition.mayRun && this.#runner.begin(partition, this.#turn++ % 2 === 0)) hasBegun = true
      }
    }
  }
}

/** Starts to handle events. Handlers may be registered before and after. Raises TM_WEBHOOKS_BAD_OPTION. */
export const openWorkers = async (options: WorkersOptions): Promise<Workers> => {
  const name = createName()
  const { redis, connect } = options
  const blocking = redis.state === 'absent' ? undefined : await connect?.(`tidemark webhooks`)
  const workers = new WorkerProcess(options, name, blocking)
  workers.start()
  return workers
}
