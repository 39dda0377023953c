/**
 * Calls to other systems, out of the outbox: written down in the transaction that calls for them, made after it, and made again until they succeed
 * or their attempts are used up.
 *
 *   waiting ─► calling ─► done
 *      ▲          ├─► failed      attempts used up, or refused for good
 *      └──────────┘               failed for now, put off, or asked for again meanwhile
 */
import { type Logger, type Pool, silentLogger } from 'tidemark'
import { createWorkUnderWay, type FailedCall, failedCall, wordsOfFailure } from 'tidemark/app'
import type { Db } from '../rows.js'

const callKinds = ['crm.sync_tour', 'feedback.notify', 'crm.fetch_contact', 'crm.fetch_appointment'] as const

export type CallKind = (typeof callKinds)[number]

/** One kind of call. All but `make` run in a transaction each. */
export interface CallHandler<Prepared = unknown> {
  /** What is to be sent, and that it is being sent; undefined where there is nothing to do any more. */
  prepare(db: Db, subject: string): Promise<Prepared | undefined>
  make(prepared: Prepared, key: string, signal: AbortSignal): Promise<unknown>
  succeeded(db: Db, subject: string, answer: unknown): Promise<void>
  /** `isLast`: it is not tried again. `error` may be shown. */
  failed(db: Db, subject: string, error: string, isLast: boolean): Promise<void>
  /** It was not made after all: its service is known to be sick, or has had enough for now. */
  putOff?(db: Db, subject: string): Promise<void>
}

export type CallHandlers = { readonly [K in CallKind]?: CallHandler }

export interface CallsOptions {
  /** As the server. */
  readonly pool: Pool
  readonly handlers: CallHandlers
  /** Default 8. */
  readonly attempts?: number | undefined
  /** The pause after the first failure, doubled with each; a random part is taken off. Default 1,000. */
  readonly baseMs?: number | undefined
  /** Default 15 minutes. */
  readonly maxMs?: number
  /** How long a call may take before another process makes it. Default 60 s. */
  readonly leaseMs?: number
  readonly log?: Logger
}

/** How a call ended. `none`: there was none to make. */
export type CallEnd = 'done' | 'failed' | 'retrying' | 'put off' | 'none'

export interface Calls {
  /** Makes what is due, until nothing is. */
  drain(signal?: AbortSignal): Promise<void>
  /** Makes the call of that subject at once, if nobody else does. */
  make(kind: CallKind, subject: string): Promise<CallEnd>
  /** What was put off may go now: a service is well again. */
  resume(): Promise<void>
  /** Waits for what runs. */
  stop(): Promise<void>
}

interface Claimed {
  readonly id: string
  readonly kind: CallKind
  readonly subject: string
  readonly generation: number
  readonly attempts: number
}

type Outcome = { readonly end: 'done'; readonly answer: unknown } | FailedCall

/** Side by side in one process. */
const lanes = 4

class TakenOver extends Error {}

/** Its rows take no changes for the moment: a move is under way. */
const unpreparedMs = 5_000

const otherwise = 'The call failed.'

export const createCalls = (options: CallsOptions): Calls => {
  const { pool, handlers, attempts = 8, baseMs = 1_000, maxMs = 900_000, leaseMs = 60_000, log = silentLogger } = options
  const stopping = new AbortController()
  const underWay = createWorkUnderWay()
  const kinds = callKinds.filter((kind) => handlers[kind] !== undefined)

  const claim = async (kind?: CallKind, subject?: string): Promise<Claimed | undefined> => {
    const { rows } = await pool.query<Claimed>(
      `update reanna.calls c
          set status = 'calling', attempts = c.attempts + 1, again = false, claimed_until = clock_timestamp() + $2 * interval '1 ms'
        where c.id = (
          select d.id from reanna.calls d
           where d.kind = any ($1::text[]) and ($3::text is null or (d.kind = $3 and d.subject = $4))
             and ((d.status = 'waiting' and (d.next_attempt_at <= clock_timestamp() or $3 is not null))
               or (d.status = 'calling' and d.claimed_until < clock_timestamp()))
           order by d.next_attempt_at limit 1 for update skip locked)
        returning c.id, c.kind, c.subject, c.generation, c.attempts`,
      [kinds, leaseMs, kind ?? null, subject ?? null],
    )
    return rows[0]
  }

  const attempt = async ({ kind, id, generation, attempts: made }: Claimed, prepared: unknown): Promise<Outcome> => {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(leaseMs / 2)])
    try {
      return { end: 'done', answer: await handlers[kind]!.make(prepared, `${id}-${generation}`, signal) }
    } catch (error) {
      return failedCall(error, { failures: made - 1, isLast: made >= attempts, baseMs, maxMs, otherwise })
    }
  }

  /** Another process has taken the call over meanwhile: its end counts, not this one. */
  const requireMine = async (db: Db, { id, attempts: made }: Claimed): Promise<void> => {
    const { rows } = await db.query(
      `select 1 from reanna.calls where id = $1 and status = 'calling' and attempts = $2 for update`,
      [id, made],
    )
    if (rows.length === 0) throw new TakenOver()
  }

  /** Rows that the call is about come first, then its own, as whoever asks for a call does it. */
  const settle = async (claimed: Claimed, outcome: Outcome, note: (db: Db) => Promise<unknown>): Promise<CallEnd> => {
    const isOver = outcome.end === 'done' || outcome.end === 'failed'
    try {
      await pool.transaction(async (db) => {
        await note(db)
        await requireMine(db, claimed)
        await db.query(
          `update reanna.calls
              set status = case when again or not $2 then 'waiting' else $3 end,
                  generation = generation + again::int,
                  attempts = case when again and $2 then 0 when $4 then attempts - 1 else attempts end,
                  next_attempt_at = clock_timestamp() + case when again and $2 then 0 else $5::double precision end * interval '1 ms',
                  claimed_until = null, again = false, error = $6
            where id = $1`,
          [
            claimed.id,
            isOver,
            outcome.end === 'failed' ? 'failed' : 'done',
            outcome.end === 'put off',
            outcome.end === 'done' ? 0 : outcome.waitMs,
            outcome.end === 'done' ? null : outcome.error,
          ],
        )
      })
      return outcome.end
    } catch (error) {
      if (error instanceof TakenOver) return 'none'
      throw error
    }
  }

  const noted =
    (handler: CallHandler, subject: string, outcome: Outcome) =>
    async (db: Db): Promise<unknown> => {
      if (outcome.end === 'done') return handler.succeeded(db, subject, outcome.answer)
      if (outcome.end === 'put off') return handler.putOff?.(db, subject)
      return handler.failed(db, subject, outcome.error, outcome.end === 'failed')
    }

  const makeOne = async (kind?: CallKind, subject?: string): Promise<CallEnd> => {
    const claimed = await claim(kind, subject)
    if (!claimed) return 'none'
    const handler = handlers[claimed.kind]!
    let prepared: unknown
    try {
      prepared = await pool.transaction((db) => handler.prepare(db, claimed.subject))
    } catch (error) {
      return settle(
        claimed,
        { end: 'put off', error: wordsOfFailure(error, otherwise), waitMs: unpreparedMs },
        async () => undefined,
      )
    }
    if (prepared === undefined) return settle(claimed, { end: 'done', answer: undefined }, async () => undefined)
    const outcome = await attempt(claimed, prepared)
    if (outcome.end !== 'done')
      log.info('a call did not succeed', { kind: claimed.kind, subject: claimed.subject, end: outcome.end, error: outcome.error })
    return settle(claimed, outcome, noted(handler, claimed.subject, outcome))
  }

  const lane = async (signal: AbortSignal | undefined): Promise<void> => {
    while (!stopping.signal.aborted && !signal?.aborted && (await makeOne()) !== 'none');
  }

  return {
    drain: async (signal) => {
      if (kinds.length === 0) return
      await underWay.track(Promise.all(Array.from({ length: lanes }, () => lane(signal))))
    },
    make: async (kind, subject) => {
      if (!kinds.includes(kind) || stopping.signal.aborted) return 'none'
      return underWay.track(makeOne(kind, subject))
    },
    resume: async () => {
      await pool.query(
        `update reanna.calls set next_attempt_at = clock_timestamp()
          where status = 'waiting' and next_attempt_at > clock_timestamp() and error like 'TM\\_RESILIENCE\\_%'`,
      )
    },
    stop: async () => {
      stopping.abort()
      await underWay.ended()
    },
  }
}
