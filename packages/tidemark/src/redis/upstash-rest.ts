import { setMaxListeners } from 'node:events'
import type { Requester, Redis as UpstashRedis } from '@upstash/redis'
import { isTidemarkError, TidemarkError } from '../errors.js'
import { pauseMs, type ResolvedConnectionOptions } from './connection-options.js'
import { ConnectionState } from './connection-state.js'
import { inTime } from './in-time.js'
import { defineScript } from './lua-script.js'
import type {
  CommandOptions,
  LuaScript,
  PipelineOptions,
  PipelineResult,
  Redis,
  RedisArgument,
  RedisCommand,
  RedisReply,
  RedisState,
} from './redis.js'
import { checkCommand, connectionError, renewed, replyError, unreachable } from './redis-error.js'
import type { RestTarget } from './redis-target.js'
import { runScript } from './run-script.js'
import { decodeReply, type EncodedReply, encodeCommand, encodeScript } from './upstash-codec.js'

type Request = Parameters<Requester['request']>[0]
type Send = (request: Request) => Promise<unknown>

interface Answer {
  readonly result?: EncodedReply
  readonly error?: string
}

/** What the client's own errors begin with where the server answered with an error of Redis, or with HTTP 4xx. */
const isAnswered = (error: unknown): error is Error => error instanceof Error && error.name === 'UpstashError'

class UpstashRest implements Redis {
  readonly driver = 'rest'
  readonly target: string
  readonly #options: ResolvedConnectionOptions
  readonly #send: Send
  readonly #state: ConnectionState
  readonly #stopping = new AbortController()
  #probing = false

  constructor(target: RestTarget, options: ResolvedConnectionOptions, send: Send) {
    this.target = target.display
    this.#options = options
    this.#send = send
    this.#state = new ConnectionState({ target: target.display, log: options.log, signals: options.signals })
    // Each request under way listens; many are no leak.
    setMaxListeners(0, this.#stopping.signal)
  }

  get state(): RedisState {
    return this.#state.current
  }

  /** Asks once whether the server is there. */
  async connect(): Promise<void> {
    await this.#request({ body: ['PING'] }, { timeoutMs: this.#options.connectTimeoutMs }).then(
      () => this.#state.up(),
      (error: unknown) => this.#lost(connectionError(error, this.target)),
    )
  }

  async command<T extends RedisReply>(command: RedisCommand, options: CommandOptions = {}): Promise<T> {
    checkCommand(command)
    this.#state.throwUnlessUp(options)
    const answer = (await this.#request({ body: encodeCommand(command) }, options)) as Answer
    return decodeReply(answer.result, options.buffers === true) as T
  }

  async pipeline(commands: readonly RedisCommand[], options: PipelineOptions = {}): Promise<readonly PipelineResult[]> {
    for (const command of commands) checkCommand(command)
    this.#state.throwUnlessUp(options)
    if (commands.length === 0) return []
    const path = [options.atomic ? 'multi-exec' : 'pipeline']
    const answers = (await this.#request({ path, body: commands.map(encodeCommand) }, options)) as readonly Answer[]
    return answers.map(({ result, error }): PipelineResult => {
      if (error === undefined) return { ok: true, value: decodeReply(result, options.buffers === true) }
      const ours = replyError(error, this.target)
      if (!isTidemarkError(ours, 'TM_REDIS_COMMAND')) throw ours
      return { ok: false, error: ours }
    })
  }

  async script<T extends RedisReply>(
    script: LuaScript,
    keys: readonly RedisArgument[],
    args: readonly RedisArgument[] = [],
    options: CommandOptions = {},
  ): Promise<T> {
    const send = (command: RedisCommand) => this.command<T>(command, options)
    const encoded = encodeScript(script, args)
    if (!encoded) return runScript(send, script, keys, args)
    return runScript(send, defineScript(encoded.name, encoded.lua), keys, encoded.args)
  }

  async subscribe(): Promise<never> {
    throw new TidemarkError('TM_REDIS_UNSUPPORTED', { driver: 'Upstash REST', what: 'listen to channels' })
  }

  async subscribeBytes(): Promise<never> {
    return this.subscribe()
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
    if (this.#stopping.signal.aborted) return
    const why = unreachable(this.target, 'the connection was stopped')
    this.#state.stopped(why)
    this.#stopping.abort(why)
  }

  async #request(request: Request, { timeoutMs, signal }: CommandOptions): Promise<unknown> {
    const limitMs = timeoutMs ?? this.#options.commandTimeoutMs
    const late = () => {
      const error = unreachable(this.target, `no answer within ${limitMs} ms`)
      if (limitMs >= this.#options.commandTimeoutMs) this.#lost(error)
      return error
    }
    const cancel = new AbortController()
    const stop = () => cancel.abort()
    this.#stopping.signal.addEventListener('abort', stop, { once: true })
    try {
      const headers = { 'Upstash-Encoding': 'base64' }
      const answer = this.#send({ ...request, headers, signal: cancel.signal })
      const reply = await inTime(answer, { limitMs, signal, late })
      // The client answers an aborted request as if it had succeeded.
      if (this.#stopping.signal.aborted) throw renewed(this.#stopping.signal.reason as TidemarkError)
      return this.#checked(reply)
    } catch (error) {
      throw signal?.aborted || isTidemarkError(error) ? error : this.#failed(error)
    } finally {
      this.#stopping.signal.removeEventListener('abort', stop)
      cancel.abort()
    }
  }

  #checked(reply: unknown): unknown {
    const { error } = reply as Answer
    if (typeof error === 'string') throw replyError(error, this.target)
    return reply
  }

  #failed(error: unknown): TidemarkError {
    if (isAnswered(error) && !error.message.startsWith('undefined')) return replyError(error.message, this.target)
    const ours = connectionError(isAnswered(error) ? new Error('it did not answer as Redis does') : error, this.target)
    this.#lost(ours)
    return ours
  }

  /** Takes the server for down, and asks in the background until it answers. */
  #lost(why: TidemarkError): void {
    if (this.#stopping.signal.aborted) return
    this.#state.down(why)
    if (this.#probing) return
    this.#probing = true
    this.#probe()
      .catch(() => {})
      .finally(() => {
        this.#probing = false
      })
  }

  async #probe(): Promise<void> {
    const { clock } = this.#options
    for (let failures = 1; this.#state.current === 'down'; failures++) {
      await clock.sleep(pauseMs(failures, this.#options), this.#stopping.signal)
      await this.connect()
    }
  }
}

type Load = () => Promise<{ readonly Redis: typeof UpstashRedis }>

const loadClient: Load = () => import('@upstash/redis')

const openClient = async ({ url, token }: RestTarget, load: Load): Promise<Send> => {
  const { Redis } = await load().catch((error: unknown) => {
    throw new TidemarkError('TM_REDIS_DRIVER_MISSING', {}, { cause: error })
  })
  // The client's typed methods reshape replies, and its decoding of base64 loses bytes that are not UTF-8;
  // what lies below them does neither.
  class Client extends Redis {
    send(request: Request): Promise<unknown> {
      return this.client.request(request)
    }
  }
  const client = new Client({
    url,
    token,
    automaticDeserialization: false,
    responseEncoding: false,
    enableTelemetry: false,
    enableAutoPipelining: false,
    retry: { retries: 0 },
  })
  return (request) => client.send(request)
}

/** Reaches Upstash over REST. Gives the connection once it is known to be up or down. Raises TM_REDIS_DRIVER_MISSING. */
export const createUpstashRest = async (
  target: RestTarget,
  options: ResolvedConnectionOptions,
  load: Load = loadClient,
): Promise<Redis> => {
  const redis = new UpstashRest(target, options, await openClient(target, load))
  await redis.connect()
  return redis
}
