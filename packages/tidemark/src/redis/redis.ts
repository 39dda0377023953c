/** How the server is reached. `none`: none is configured and none was found. */
export type RedisDriver = 'tcp' | 'rest' | 'none'

/** `absent` is `down` for ever: callers need to know one degraded mode only. */
export type RedisState = 'up' | 'down' | 'absent'

/** Text goes out as UTF-8, buffers as they are, on both drivers. */
export type RedisArgument = string | number | Uint8Array

/** A reply as RESP2 has it: maps are flat `[key, value, …]` lists, floating numbers are text, `OK` is text. */
export type RedisReply = string | number | null | Buffer | readonly RedisReply[]

export type RedisCommand = readonly [name: string, ...args: readonly RedisArgument[]]

export interface CommandOptions {
  /** Text in replies comes as buffers, byte for byte. Default false. */
  readonly buffers?: boolean
  /**
   * Overrides the connection's `commandTimeoutMs`. Give a blocking command (BLPOP, XREADGROUP … BLOCK) more than it may block,
   * and send it over a connection of its own: on a shared one everybody waits behind it.
   */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface PipelineOptions extends CommandOptions {
  /** All or nothing, by MULTI and EXEC. Default false. */
  readonly atomic?: boolean
}

/** The outcome of one command of a pipeline. A refused command does not fail the others. */
export type PipelineResult = { readonly ok: true; readonly value: RedisReply } | { readonly ok: false; readonly error: Error }

/** A Lua script. Make it once per script with `defineScript`: its digest is computed there. */
export interface LuaScript {
  readonly name: string
  readonly lua: string
  /** SHA-1 of `lua`, in hex. */
  readonly sha: string
}

export type MessageListener = (message: string, channel: string) => void

export type BytesListener = (message: Buffer, channel: string) => void

/** What a Redis Cluster has, and a single server has not. */
export interface RedisCluster {
  /**
   * Names the masters, each in its present life. Under another name one of them was restarted, promoted, added or taken away, and may have
   * lost what it had acknowledged (soundness 12). Empty before the cluster was reached.
   */
  readonly masters: string
  /** From 0 to 16,383. Keys of different slots cannot be in one script or one transaction. */
  slotOf(key: RedisArgument): number
  /** Sends a command that has no key to every master. Gives the replies by the masters' addresses, `host:port`, in their order. */
  onEach<T extends RedisReply = RedisReply>(command: RedisCommand, options?: CommandOptions): Promise<ReadonlyMap<string, T>>
}

/**
 * One Redis, over TCP or over Upstash's REST, or none at all. A Redis Cluster is one Redis too: up while every slot has a master that answers.
 *
 * No command is queued or sent twice: while the server is away each rejects at once with TM_REDIS_UNREACHABLE
 * (TM_REDIS_ABSENT where there is none), and the connection is taken up again in the background.
 * A command the server refuses rejects with TM_REDIS_COMMAND; `parameters.reason` begins with the server's error word.
 */
export interface Redis {
  readonly driver: RedisDriver
  readonly state: RedisState
  /** The address without secrets, for messages. Empty where there is none. */
  readonly target: string
  /** Only of a Redis Cluster. */
  readonly cluster?: RedisCluster
  command<T extends RedisReply = RedisReply>(command: RedisCommand, options?: CommandOptions): Promise<T>
  /** Sends the commands in one go. Rejects as a whole only where the server could not be reached or an atomic one was discarded. */
  pipeline(commands: readonly RedisCommand[], options?: PipelineOptions): Promise<readonly PipelineResult[]>
  /** Runs the script by its digest, and sends its text only where the server does not know it yet. */
  script<T extends RedisReply = RedisReply>(
    script: LuaScript,
    keys: readonly RedisArgument[],
    args?: readonly RedisArgument[],
    options?: CommandOptions,
  ): Promise<T>
  /**
   * Listens to channels until the returned function is called. What is published while the connection is away is lost.
   * Raises TM_REDIS_UNSUPPORTED over REST.
   */
  subscribe(channels: readonly string[], listener: MessageListener): Promise<() => Promise<void>>
  /** The same, with messages byte for byte. */
  subscribeBytes(channels: readonly string[], listener: BytesListener): Promise<() => Promise<void>>
  /** Calls the listener at each change of the state. Gives what ends it. */
  onState(listener: (state: RedisState) => void): () => void
  /** The time of one round trip, in milliseconds. */
  ping(options?: CommandOptions): Promise<number>
  /** Ends the connection. Commands under way reject. */
  stop(): Promise<void>
}
