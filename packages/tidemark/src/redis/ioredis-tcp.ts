import { Redis as Ioredis, type RedisOptions as IoredisOptions, ReplyError } from 'ioredis'
import { isTidemarkError, type TidemarkError } from '../errors.js'
import { closeClient } from './close-client.js'
import { pauseMs, type ResolvedConnectionOptions } from './connection-options.js'
import { ConnectionState } from './connection-state.js'
import { inTime } from './in-time.js'
import type {
  BytesListener,
  CommandOptions,
  LuaScript,
  MessageListener,
  PipelineOptions,
  PipelineResult,
  Redis,
  RedisArgument,
  RedisCommand,
  RedisReply,
  RedisState,
} from './redis.js'
import { checkCommand, connectionError, renewed, replyError, unreachable } from './redis-error.js'
import type { TcpTarget } from './redis-target.js'
import { RespCommand } from './resp-command.js'
import { resultsOf } from './results-of.js'
import { runScript } from './run-script.js'
import { Subscriptions } from './subscriptions.js'

/** How long a closed socket may take to say good-bye before it is cut. */
const goodbyeMs = 250

const clientOptions = (target: TcpTarget, options: ResolvedConnectionOptions): Omit<IoredisOptions, 'replyMapping'> => ({
  host: target.host,
  port: target.port,
  db: target.db,
  ...(target.username !== undefined && { username: target.username }),
  ...(target.password !== undefined && { password: target.password }),
  ...(target.tls && { tls: {} }),
  connectionName: options.name,
  // RESP2 on purpose: replies then have one shape over TCP and over REST.
  protocol: 2,
  lazyConnect: true,
  connectTimeout: options.connectTimeoutMs,
  disconnectTimeout: goodbyeMs,
  // Nothing waits for a lost server, and nothing is sent twice: a command in flight when the line broke may have been done.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: (failures) => pauseMs(failures, options),
  // After a failover the old primary answers READONLY: the address then leads to another server.
  reconnectOnError: (error) => error.message.startsWith('READONLY'),
})

/** What comes after the name. Scripts bring hundreds: they are copied once. */
const argumentsOf = (command: RedisCommand): (string | Buffer)[] => {
  const args: (string | Buffer)[] = []
  for (let at = 1; at < command.length; at++) {
    const arg = command[at]!
    args.push(arg instanceof Uint8Array ? Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength) : String(arg))
  }
  return args
}

// In capitals, because ioredis reshapes the replies of some commands by their lower-case names (HGETALL becomes an object).
const toCommand = (command: RedisCommand, buffers: boolean): RespCommand =>
  new RespCommand(command[0].toUpperCase(), argumentsOf(command), { replyEncoding: buffers ? null : 'utf8' })

class IoredisTcp implements Redis {
  readonly driver = 'tcp'
  readonly target: string
  readonly #options: ResolvedConnectionOptions
  readonly #client: Ioredis
  readonly #state: ConnectionState
  readonly #subscriptions: Subscriptions
  #lastError: unknown
  #handshake: NodeJS.Timeout | undefined
  #stopped = false
  #wasUp = false
  #corked = false

  constructor(target: TcpTarget, options: ResolvedConnectionOptions) {
    this.target = target.display
    this.#options = options
    this.#state = new ConnectionState({ target: target.display, log: options.log, signals: options.signals })
    this.#client = new Ioredis(clientOptions(target, options))
    const { connectionName, ...rest } = clientOptions(target, options)
    const open = () => new Ioredis({ ...rest, connectionName: `${connectionName}-subscriber`, autoResubscribe: false })
    this.#subscriptions = new Subscriptions({ open, log: options.log, connectTimeoutMs: options.connectTimeoutMs })
    this.#watch()
  }

  get state(): RedisState {
    return this.#state.current
  }

  /** Tries to connect once. Resolves when that has succeeded or failed; further attempts go on in the background. */
  async connect(): Promise<void> {
    await this.#client.connect().catch(() => {})
  }

  async command<T extends RedisReply>(command: RedisCommand, options: CommandOptions = {}): Promise<T> {
    checkCommand(command)
    this.#state.throwUnlessUp(options)
    return this.#send(toCommand(command, options.buffers === true), options) as Promise<T>
  }

  async pipeline(commands: readonly RedisCommand[], options: PipelineOptions = {}): Promise<readonly PipelineResult[]> {
    for (const command of commands) checkCommand(command)
    this.#state.throwUnlessUp(options)
    if (commands.length === 0) return []
    const list = options.atomic ? [['MULTI'] as const, ...commands, ['EXEC'] as const] : commands
    const results = await this.#sendAll(list, options)
    return options.atomic ? this.#transactionResults(results) : results
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
    return this.#subscriptions.add(channels, listener).catch((error: unknown) => {
      throw this.#asOurs(error)
    })
  }

  onState(listener: (state: RedisState) => void): () => void {
    return this.#state.listen(listener)
  }

  async ping(options: CommandOptions = {}): Promise<number> {
    const { clock } = this.#options
    const startedAt = clock.monotonicMs()
    await this.command(['PING'], options)
    return clock.monotonicMs() - startedAt
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearTimeout(this.#handshake)
    this.#state.stopped(unreachable(this.target, 'the connection was stopped'))
    await Promise.all([closeClient(this.#client), this.#subscriptions.stop()])
  }

  #watch(): void {
    const client = this.#client
    client.on('error', (error) => {
      this.#lastError = error
    })
    client.on('connect', () => {
      // A frozen server accepts connections (its system does) but never answers the greeting.
      this.#handshake = setTimeout(() => this.#abandon('it does not answer the greeting'), this.#options.connectTimeoutMs)
    })
    client.on('ready', () => {
      clearTimeout(this.#handshake)
      this.#lastError = undefined
      if (this.#wasUp) this.#subscriptions.renew()
      this.#wasUp = true
      this.#state.up()
    })
    client.on('close', () => {
      clearTimeout(this.#handshake)
      if (!this.#stopped) this.#state.down(this.#whyLost())
    })
  }

  #whyLost(): TidemarkError {
    const error = this.#lastError
    return error === undefined ? unreachable(this.target, 'the server closed the connection') : this.#asOurs(error)
  }

  #asOurs(error: unknown): TidemarkError {
    if (error instanceof ReplyError) return replyError((error as Error).message, this.target)
    return connectionError(error, this.target)
  }

  /** Gives the connection up for lost and starts anew. */
  #abandon(reason: string): void {
    this.#lastError = unreachable(this.target, reason)
    this.#client.stream?.destroy()
  }

  async #send(command: RespCommand, { timeoutMs, signal }: CommandOptions): Promise<RedisReply> {
    const limitMs = timeoutMs ?? this.#options.commandTimeoutMs
    const late = () => {
      const reason = `no answer within ${limitMs} ms`
      // Who asked for less patience than the connection has says nothing about the server.
      if (limitMs >= this.#options.commandTimeoutMs) this.#abandon(reason)
      return unreachable(this.target, reason)
    }
    try {
      this.#cork()
      return await inTime(this.#client.sendCommand(command) as Promise<RedisReply>, { limitMs, signal, late })
    } catch (error) {
      throw signal?.aborted || isTidemarkError(error) ? error : this.#whyRefused(error)
    }
  }

  /** Commands of one turn of the event loop leave in one write: the system call costs more than all else that a command does here. */
  #cork(): void {
    if (this.#corked) return
    this.#corked = true
    const { stream } = this.#client
    stream.cork()
    process.nextTick(() => {
      this.#corked = false
      stream.uncork()
    })
  }

  #whyRefused(error: unknown): TidemarkError {
    if (error instanceof ReplyError) return this.#asOurs(error)
    // Of a line that broke the driver only says that it gave up; why it broke is known here.
    return renewed(this.#state.whyDown ?? this.#whyLost())
  }

  async #sendAll(commands: readonly RedisCommand[], options: CommandOptions): Promise<PipelineResult[]> {
    const sent = commands.map((command) => this.#send(toCommand(command, options.buffers === true), options))
    return resultsOf(sent)
  }

  #transactionResults(results: readonly PipelineResult[]): PipelineResult[] {
    const exec = results.at(-1)
    const refused = results.find((result) => !result.ok)
    if (exec?.ok !== true || !Array.isArray(exec.value)) {
      throw refused && !refused.ok ? refused.error : unreachable(this.target, 'the transaction was not done')
    }
    return exec.value.map(
      (value: unknown): PipelineResult =>
        value instanceof Error ? { ok: false, error: this.#asOurs(value) } : { ok: true, value: value as RedisReply },
    )
  }
}

/** Connects over TCP, with TLS for `rediss://`. Gives the connection once the first attempt has succeeded or failed. */
export const createIoredisTcp = async (target: TcpTarget, options: ResolvedConnectionOptions): Promise<Redis> => {
  const redis = new IoredisTcp(target, options)
  await redis.connect()
  return redis
}
