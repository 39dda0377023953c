/**
 * A Redis Cluster as one Redis. It is up while every slot has a master that answers: with one of them away all of it counts as away, and what
 * holds for a single server that failed over holds for each master (soundness 12).
 *
 *   down ──► survey: who has which slot, and is each the master it was ──► up ──► a connection breaks, a command finds a master that
 *    ▲                                                                            │ was not surveyed, or a survey (every second) another set
 *    └────────────────────────────────────────────────────────────────────────────┘
 *
 * ioredis' own cluster client goes on to whoever a redirection names; here no command reaches a master before that master's life is
 * known, since what it answers may be what another one has lost.
 */
import { isTidemarkError, type TidemarkError } from '../errors.js'
import { addressOf } from './cluster/cluster-map.js'
import { Masters } from './cluster/masters.js'
import { slotOf, slotOfCommand } from './cluster/slots.js'
import { splitCommand } from './cluster/split-command.js'
import { pauseMs, type ResolvedConnectionOptions } from './connection-options.js'
import { ConnectionState } from './connection-state.js'
import type {
  BytesListener,
  CommandOptions,
  LuaScript,
  MessageListener,
  PipelineOptions,
  PipelineResult,
  Redis,
  RedisArgument,
  RedisCluster,
  RedisCommand,
  RedisReply,
  RedisState,
} from './redis.js'
import { checkCommand, connectionError, renewed, unreachable } from './redis-error.js'
import type { TcpTarget } from './redis-target.js'
import { resultsOf } from './results-of.js'
import { runScript } from './run-script.js'

/** Somebody who blocks a connection may keep a survey waiting. */
const [surveyEveryMs, surveyWithinMs] = [1_000, 15_000]
/** While a slot moves, keys of a script may be here and there: it is asked again after so long. */
const tryAgainMs = 20
const maxRedirections = 5

type Send<T> = (node: Redis, isAsking: boolean) => Promise<T>

const reasonIn = (error: unknown): string => (isTidemarkError(error) ? String(error.parameters.reason ?? '') : '')

/** What a node said of a key that it has not. */
const redirectionOf = (error: unknown): { readonly isAsk: boolean; readonly host: string; readonly port: string } | undefined => {
  if (!isTidemarkError(error, 'TM_REDIS_CLUSTER')) return undefined
  const found = /^(MOVED|ASK) \d+ (.*):(\d+)/.exec(reasonIn(error))
  return found ? { isAsk: found[1] === 'ASK', host: found[2]!, port: found[3]! } : undefined
}

const replyOf = <T extends RedisReply>(result: PipelineResult | undefined): T => {
  if (result?.ok) return result.value as T
  throw result?.error
}

const sendTo = <T extends RedisReply>(command: RedisCommand, options: CommandOptions): Send<T> => {
  return async (node, isAsking) => {
    if (!isAsking) return node.command<T>(command, options)
    return replyOf<T>((await node.pipeline([['ASKING'], command], options))[1])
  }
}

class IoredisCluster implements Redis {
  readonly driver = 'tcp'
  readonly target: string
  readonly cluster: RedisCluster
  readonly #options: ResolvedConnectionOptions
  readonly #state: ConnectionState
  readonly #masters: Masters
  readonly #stopping = new AbortController()
  #surveying: Promise<void> | undefined
  #isSeeking = false

  constructor(seeds: readonly TcpTarget[], options: ResolvedConnectionOptions) {
    this.target = seeds.map(({ display }, at) => (at === 0 ? display : display.replace(/^\w+:\/\//, ''))).join(',')
    this.#options = options
    this.#state = new ConnectionState({ target: this.target, log: options.log, signals: options.signals })
    this.#masters = new Masters({ seeds, connection: options, lost: (why) => this.#lost(connectionError(why, this.target)) })
    const masters = this.#masters
    this.cluster = {
      get masters() {
        return masters.name
      },
      slotOf,
      onEach: (command, given) => this.#onEach(command, given),
    }
  }

  get state(): RedisState {
    return this.#state.current
  }

  /** Looks for the cluster once; goes on doing so in the background. */
  async connect(): Promise<void> {
    await this.#survey(this.#options.connectTimeoutMs).catch((error: unknown) => this.#lost(connectionError(error, this.target)))
    void this.#watch()
  }

  async command<T extends RedisReply>(command: RedisCommand, options: CommandOptions = {}): Promise<T> {
    checkCommand(command)
    this.#state.throwUnlessUp(options)
    if (command[0].toUpperCase() === 'SCAN') return (await this.#scan(command, options)) as T
    return this.#send<T>(command, options)
  }

  async pipeline(commands: readonly RedisCommand[], options: PipelineOptions = {}): Promise<readonly PipelineResult[]> {
    for (const command of commands) checkCommand(command)
    this.#state.throwUnlessUp(options)
    if (!options.atomic) return resultsOf(commands.map((command) => this.#send(command, options)))
    const slot = commands.map(slotOfCommand).find((each) => each !== undefined)
    return this.#follow(slot, (node) => node.pipeline(commands, options))
  }

  script<T extends RedisReply>(
    script: LuaScript,
    keys: readonly RedisArgument[],
    args: readonly RedisArgument[] = [],
    options: CommandOptions = {},
  ): Promise<T> {
    return runScript<T>((command) => this.command<T>(command, options), script, keys, args)
  }

  subscribe(channels: readonly string[], listener: MessageListener): Promise<() => Promise<void>> {
    return this.subscribeBytes(channels, (message, channel) => listener(message.toString(), channel))
  }

  async subscribeBytes(channels: readonly string[], listener: BytesListener): Promise<() => Promise<void>> {
    this.#state.throwUnlessUp({})
    return this.#masters.listen(channels, listener)
  }

  onState(listener: (state: RedisState) => void): () => void {
    return this.#state.listen(listener)
  }

  /** Of the slowest master. */
  async ping(options: CommandOptions = {}): Promise<number> {
    const { clock } = this.#options
    const startedAt = clock.monotonicMs()
    await this.#onEach(['PING'], options)
    return clock.monotonicMs() - startedAt
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort()
    this.#state.stopped(unreachable(this.target, 'the connection was stopped'))
    await this.#masters.stop()
  }

  async #onEach<T extends RedisReply>(command: RedisCommand, options: CommandOptions = {}): Promise<ReadonlyMap<string, T>> {
    checkCommand(command)
    this.#state.throwUnlessUp(options)
    const asked = this.#masters.addresses.map(async (address) => {
      return [address, await this.#masters.opened(address).command<T>(command, options)] as const
    })
    return new Map(await Promise.all(asked))
  }

  async #send<T extends RedisReply>(command: RedisCommand, options: CommandOptions): Promise<T> {
    const split = splitCommand(command)
    if (!split) return this.#follow(slotOfCommand(command), sendTo<T>(command, options), options)
    const replies = split.parts.map((part) => this.#follow(slotOfCommand(part), sendTo(part, options), options))
    return split.join(await Promise.all(replies)) as T
  }

  /** One master after the other: `<which>-<its own cursor>`. */
  async #scan([name, cursor, ...rest]: RedisCommand, options: CommandOptions): Promise<RedisReply> {
    const { addresses } = this.#masters
    const [which = 0, own = '0'] = /^(\d+)-(\d+)$/.exec(String(cursor))?.slice(1) ?? []
    const node = this.#masters.opened(addresses[Number(which)] ?? '')
    const [next, keys] = await node.command<[RedisReply, RedisReply]>([name, own, ...rest], options)
    const isDone = String(next) === '0'
    const place = isDone ? Number(which) + 1 : Number(which)
    const text = place >= addresses.length ? '0' : `${place}-${isDone ? '0' : String(next)}`
    return [options.buffers ? Buffer.from(text) : text, keys]
  }

  /** Sends to the master of a slot, and to whoever that names instead. A command that was refused was not done: it may be sent again. */
  async #follow<T>(slot = 0, send: Send<T>, { timeoutMs = this.#options.commandTimeoutMs }: CommandOptions = {}): Promise<T> {
    const startedAt = this.#options.clock.monotonicMs()
    let [node, isAsking, turns] = [this.#masters.at(slot), false, 0]
    for (;;) {
      try {
        return await send(node, isAsking)
      } catch (error) {
        const way = redirectionOf(error)
        if (way && turns++ < maxRedirections) {
          const address = addressOf((way.host || new URL(node.target).hostname).replace(/^\[|\]$/g, ''), way.port)
          isAsking = way.isAsk
          node = isAsking ? await this.#masters.node(address) : this.#atNewHome(slot, address)
          continue
        }
        const isSplit = reasonIn(error).startsWith('TRYAGAIN') && this.#options.clock.monotonicMs() - startedAt < timeoutMs
        if (!isSplit) throw this.#refused(error)
        await this.#options.clock.sleep(tryAgainMs, this.#stopping.signal)
        ;[node, isAsking] = [this.#masters.at(slot), false]
      }
    }
  }

  #atNewHome(slot: number, address: string): Redis {
    if (this.#masters.moved(slot, address)) {
      void this.#survey(surveyWithinMs).catch((error: unknown) => this.#lost(connectionError(error, this.target)))
      return this.#masters.opened(address)
    }
    const why = unreachable(this.target, `slot ${slot} has moved to ${address}`)
    this.#lost(why)
    throw renewed(why)
  }

  #refused(error: unknown): unknown {
    const isLost =
      isTidemarkError(error, 'TM_REDIS_UNREACHABLE') && /^(?:CLUSTERDOWN|MASTERDOWN|READONLY)\b/.test(reasonIn(error))
    if (isLost) this.#lost(error as TidemarkError)
    return error
  }

  #lost(why: TidemarkError): void {
    if (this.#stopping.signal.aborted) return
    this.#state.down(why)
    void this.#seek()
  }

  /** Until the cluster is whole again. */
  async #seek(): Promise<void> {
    if (this.#isSeeking) return
    this.#isSeeking = true
    const { signal } = this.#stopping
    for (let failures = 1; !signal.aborted && this.#state.current !== 'up'; failures++) {
      await this.#options.clock.sleep(pauseMs(failures, this.#options), signal).catch(() => undefined)
      if (signal.aborted) break
      await this.#survey(this.#options.connectTimeoutMs).catch((error: unknown) =>
        this.#state.down(connectionError(error, this.target)),
      )
    }
    this.#isSeeking = false
  }

  /** A master that fell back and was promoted again, with no command in between, is found by nothing else. */
  async #watch(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#options.clock.sleep(surveyEveryMs, signal).catch(() => undefined)
      if (signal.aborted || this.#state.current !== 'up') continue
      await this.#survey(surveyWithinMs).catch((error: unknown) => this.#lost(connectionError(error, this.target)))
    }
  }

  #survey(timeoutMs: number): Promise<void> {
    this.#surveying ??= this.#look(timeoutMs).finally(() => {
      this.#surveying = undefined
    })
    return this.#surveying
  }

  async #look(timeoutMs: number): Promise<void> {
    const before = this.#masters.name
    const adopt = await this.#masters.survey(timeoutMs)
    if (this.#stopping.signal.aborted) return
    const adopted = adopt()
    if (this.#state.current === 'up' && this.#masters.name !== before)
      this.#state.down(unreachable(this.target, 'its masters are not the same any more'))
    await adopted
    if (this.#stopping.signal.aborted) return
    if (!this.#masters.isWhole) throw unreachable(this.target, 'a master of the cluster went away')
    this.#state.up()
  }
}

/** Connects to a cluster, of which the targets are some nodes. Gives it once the first attempt has succeeded or failed. */
export const createIoredisCluster = async (targets: readonly TcpTarget[], options: ResolvedConnectionOptions): Promise<Redis> => {
  const redis = new IoredisCluster(targets, options)
  await redis.connect()
  return redis
}
