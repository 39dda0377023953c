/** Holding a move: taking it over, telling that one is alive, noticing that another took it, and letting go. */
import { hostname } from 'node:os'
import type pg from 'pg'
import { isTidemarkError } from '../../errors.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { HeldRun, LiveRun } from './live-run.js'
import { beat, letGo, takeOver } from './record.js'
import { connectMove } from './session.js'
import type { LiveMoveOptions } from './switch-options.js'

/** How often a holder tells that it is alive … */
const beatMs = 1_000
/** … and after how long a silent one counts as dead. */
export const holderTimeoutMs = 10_000

export interface Holding {
  /** As it was taken over; the epoch is the one to write under. */
  readonly held: HeldRun
  /** Aborted, with TM_MOVE_FENCED as its reason, once another process has taken the move over. */
  readonly lost: AbortSignal
  /** Lets go of the move where it is still held, so that another need not wait until silence proves it. */
  release(): Promise<void>
}

class Heart {
  readonly #options: LiveMoveOptions
  readonly #held: HeldRun
  readonly #clock: Clock
  readonly #stopped = new AbortController()
  readonly #lost = new AbortController()
  readonly #beating: Promise<void>
  #client: pg.Client | undefined

  constructor(options: LiveMoveOptions, held: HeldRun) {
    this.#options = options
    this.#held = held
    this.#clock = options.clock ?? systemClock
    this.#beating = this.#beat()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Stops telling. What is still held is let go of, as far as Postgres can be reached: else the silence will tell. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#beating
    if (!this.lost.aborted) await this.#letGo().catch(() => this.#letGo().catch(() => undefined))
    await this.#end()
  }

  /** The second time over a new session: what failed the first time may have been the session. */
  async #letGo(): Promise<void> {
    try {
      this.#client ??= await connectMove(this.#options.target)
      await letGo(this.#client, this.#held)
    } catch (error) {
      await this.#end()
      throw error
    }
  }

  async #end(): Promise<void> {
    await this.#client?.end().catch(() => undefined)
    this.#client = undefined
  }

  /** Over a session of its own: work may keep the other one busy for as long as it takes to build an index. */
  async #beat(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      try {
        this.#client ??= await connectMove(this.#options.target)
        if (!signal.aborted) await beat(this.#client, this.#held)
      } catch (error) {
        if (isTidemarkError(error, 'TM_MOVE_FENCED')) return this.#lost.abort(error)
        // Whether the move was lost meanwhile, the next beat that gets through will tell; until then nothing can be committed either.
        await this.#end()
      }
      await this.#clock.sleep(beatMs, signal).catch(() => undefined)
    }
  }
}

/** How often each run is held within this process: a record that names it without that is left over from a lost session. */
const heldHere = new Map<string, number>()

const countHere = (runId: string, by: 1 | -1): void => {
  heldHere.set(runId, (heldHere.get(runId) ?? 0) + by)
}

/** Takes the move over (with `seen`: only if nobody else has since) and keeps it until it is released or lost. */
export const holdMove = async (client: pg.Client, runId: string, options: LiveMoveOptions, seen?: LiveRun): Promise<Holding> => {
  countHere(runId, 1)
  const held = await takeOver(client, runId, seen).catch((error: unknown) => {
    countHere(runId, -1)
    throw error
  })
  const heart = new Heart(options, held)
  let isReleased = false
  return {
    held,
    lost: heart.lost,
    release: async () => {
      if (isReleased) return
      isReleased = true
      await heart.stop()
      countHere(runId, -1)
    },
  }
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/**
 * True where whoever holds the move may be at work: it told so lately, by the clock of Postgres, and is not known to be dead. `own`: the epoch
 * under which the caller itself holds it, which does not count.
 */
export const isHeldByAnother = async (client: pg.Client, { id }: Pick<LiveRun, 'id'>, own?: bigint): Promise<boolean> => {
  const { rows } = await client.query<{ pid: number; host: string }>(
    `SELECT holder_pid AS pid, holder_host AS host FROM tidemark.move_runs
      WHERE id = $1 AND holder_pid IS NOT NULL AND holder_seen_at > clock_timestamp() - $2 * interval '1 ms' AND epoch IS DISTINCT FROM $3`,
    [id, holderTimeoutMs, own ?? null],
  )
  const holder = rows[0]
  if (holder === undefined || holder.host !== hostname()) return holder !== undefined
  return holder.pid === process.pid ? (heldHere.get(id) ?? 0) > 0 : isRunning(holder.pid)
}
