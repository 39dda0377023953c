import type { Duplex } from 'node:stream'
import type pg from 'pg'
import { TidemarkError } from '../../../errors.js'
import { cancelRequest } from '../../../postgres/driver/cancel-request.js'
import { type ConnectOptions, connectPostgres } from '../../../postgres/driver/connect.js'
import { within } from '../../../postgres/pool/within.js'
import { quoteIdentifier, quoteLiteral } from '../../../schema/sql-errors.js'
import type { Clock } from '../../../time/clock.js'
import { formatLsn, parseLsn } from '../../position.js'
import { FrameSplitter } from './frame-splitter.js'

/** Who answers. */
export interface SystemIdentity {
  readonly systemId: string
  readonly timeline: number
  /** What is flushed to disk. */
  readonly flushLsn: bigint
}

export interface StreamHandlers {
  /** One message of the stream (`w` data or `k` keepalive), its kind included. */
  readonly frame: (frame: Buffer) => void
  /** The stream ended, whatever the reason; called once. */
  readonly ended: (error: unknown) => void
}

export interface SlotOptions {
  readonly temporary: boolean
  readonly timeoutMs: number
  /** Asked for while the attempt still waits; what it gives is raised. */
  readonly blocked: () => Promise<Error>
  readonly signal: AbortSignal
}

export interface ReplicationConnection {
  /** Of the server process. */
  readonly pid: number
  identify(): Promise<SystemIdentity>
  /** Makes a slot and gives the LSN at which it begins. An attempt that takes too long is cancelled, so that nothing is left behind. */
  createSlot(name: string, options: SlotOptions): Promise<bigint>
  /** Makes a temporary slot that stands where another one does, whoever reads that. */
  copySlot(from: string, to: string): Promise<void>
  dropSlot(name: string): Promise<void>
  /** Begins to stream. From then on the connection takes status messages alone. */
  start(slot: string, publication: string, lsn: bigint, handlers: StreamHandlers): Promise<void>
  /** `flushed`: everything before it need not be sent again. `ask`: the server answers at once. */
  sendStatus(received: bigint, flushed: bigint, ask: boolean): void
  pause(): void
  resume(): void
  close(): Promise<void>
}

/** What the client has and its types leave out. */
interface Backend {
  readonly connection: { readonly stream: Duplex }
  readonly processID: number | null
}

/**
 * The text of values must not depend on the settings of the role or the server. The time-out is how long a frozen reader keeps the slot from
 * others.
 */
const sessionSql = (walSenderTimeoutMs: number): string => `
  set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set intervalstyle = 'postgres'; set extra_float_digits = 3; set bytea_output = 'hex';
  set lc_monetary = 'C'; set xmlbinary = 'base64'; set statement_timeout = 0; set idle_session_timeout = 0;
  set wal_sender_timeout = ${Math.round(walSenderTimeoutMs)}`

const [errorResponse, copyBoth, copyData, copyDone] = [0x45, 0x57, 0x64, 0x63]

/** The fields of an ErrorResponse: each a letter and a text, ended by zero bytes. */
const serverError = (body: Buffer): Error => {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field[0], field.slice(1)]),
  )
  return Object.assign(new Error(fields.get('M') ?? 'an error without a message'), { code: fields.get('C') ?? '' })
}

const command = (sql: string): Buffer => {
  const text = Buffer.from(`${sql}\0`)
  const head = Buffer.alloc(5)
  head[0] = 0x51
  head.writeUInt32BE(text.length + 4, 1)
  return Buffer.concat([head, text])
}

/** Microseconds from 1970 to 2000. */
const postgresEpochMs = 946_684_800_000
const statusBytes = 34

const statusMessage = (received: bigint, flushed: bigint, nowMs: number, ask: boolean): Buffer => {
  const message = Buffer.alloc(5 + statusBytes)
  message[0] = copyData
  message.writeUInt32BE(4 + statusBytes, 1)
  message[5] = 0x72
  message.writeBigUInt64BE(received, 6)
  message.writeBigUInt64BE(flushed, 14)
  message.writeBigUInt64BE(flushed, 22)
  message.writeBigInt64BE(BigInt(Math.round(nowMs - postgresEpochMs)) * 1000n, 30)
  message[38] = ask ? 1 : 0
  return message
}

/** Resolves to false. */
const aborted = (signal: AbortSignal): Promise<false> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(false)
    else signal.addEventListener('abort', () => resolve(false), { once: true })
  })

const closeTimeoutMs = 2_000
/** As the driver says it. */
const lost = 'Connection terminated unexpectedly'

/** A session of the replication protocol, once made a stream. */
class WalConnection implements ReplicationConnection {
  readonly pid: number
  readonly #client: pg.Client
  readonly #socket: Duplex
  readonly #clock: Clock
  #closed: Promise<void> | undefined

  constructor(client: pg.Client, clock: Clock) {
    const { connection, processID } = client as unknown as Backend
    this.#client = client
    this.#socket = connection.stream
    this.pid = processID ?? 0
    this.#clock = clock
  }

  async identify(): Promise<SystemIdentity> {
    const { rows } = await this.#client.query<{ systemid: string; timeline: number; xlogpos: string }>('IDENTIFY_SYSTEM')
    const { systemid, timeline, xlogpos } = rows[0]!
    return { systemId: systemid, timeline, flushLsn: parseLsn(xlogpos) }
  }

  async createSlot(name: string, { temporary, timeoutMs, blocked, signal }: SlotOptions): Promise<bigint> {
    const kind = temporary ? 'TEMPORARY LOGICAL' : 'LOGICAL'
    const made = this.#client.query<{ consistent_point: string }>(
      `CREATE_REPLICATION_SLOT ${quoteIdentifier(name)} ${kind} pgoutput (SNAPSHOT 'nothing')`,
    )
    const settled = made.then(
      () => true,
      () => true,
    )
    if (await Promise.race([within(this.#clock, timeoutMs, settled), aborted(signal)])) {
      return parseLsn((await made).rows[0]!.consistent_point)
    }
    const error = await blocked()
    // Hanging up alone would not end it: the slot would be made once nobody waits for it any more, and keep WAL for ever.
    await cancelRequest(this.#client)
    await made.catch(() => undefined)
    throw error
  }

  async copySlot(from: string, to: string): Promise<void> {
    // Without parameters: this session takes no other statements.
    await this.#client.query(`select pg_copy_logical_replication_slot(${quoteLiteral(from)}, ${quoteLiteral(to)}, true)`)
  }

  async dropSlot(name: string): Promise<void> {
    await this.#client.query(`DROP_REPLICATION_SLOT ${quoteIdentifier(name)}`)
  }

  start(slot: string, publication: string, lsn: bigint, handlers: StreamHandlers): Promise<void> {
    const socket = this.#socket
    // It may have been lost while the slot was claimed, and tells so only once.
    if (socket.destroyed) return Promise.reject(new Error(lost))
    return new Promise((resolve, reject) => {
      let started = false
      let over = false
      const end = (error: unknown) => {
        if (over) return
        over = true
        if (started) handlers.ended(error)
        else reject(error)
      }
      const splitter = new FrameSplitter((kind, body) => {
        if (over) return
        if (kind === copyData && started) handlers.frame(body)
        else if (kind === copyBoth) {
          started = true
          resolve()
        } else if (kind === errorResponse) end(serverError(body))
        else if (kind === copyDone) end(new Error('Connection terminated: the server ended the stream'))
        // Notices, parameters and what follows an end say nothing.
      })
      // The driver has logged in and waits for nothing; from here on it would only be in the way.
      socket.removeAllListeners('data')
      socket.on('data', (chunk: Buffer) => {
        try {
          splitter.push(chunk)
        } catch (error) {
          end(error)
        }
      })
      socket.once('error', end)
      socket.once('close', () => end(new Error(lost)))
      const names = quoteLiteral(quoteIdentifier(publication))
      const options = `proto_version '1', publication_names ${names}`
      socket.write(command(`START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${formatLsn(lsn)} (${options})`))
    })
  }

  sendStatus(received: bigint, flushed: bigint, ask: boolean): void {
    if (this.#socket.writable) this.#socket.write(statusMessage(received, flushed, this.#clock.now(), ask))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    // What is still on its way is read and thrown away: unread, it would keep the end of the connection behind it.
    this.#socket.resume()
    const ended = new Promise((resolve) => this.#socket.once('close', resolve))
    if (this.#socket.destroyed) return
    void this.#client.end().catch(() => undefined)
    if (!(await within(this.#clock, closeTimeoutMs, ended))) this.#socket.destroy()
  }
}

export interface ReplicationOptions {
  readonly target: ConnectOptions
  readonly name: string
  readonly walSenderTimeoutMs: number
  readonly clock: Clock
}

/** Logs in for replication in the target's database. Raises TM_POSTGRES_*, and TM_FEED_PERMISSION where the role may not. */
export const connectReplication = async (options: ReplicationOptions): Promise<ReplicationConnection> => {
  const { target, name, walSenderTimeoutMs, clock } = options
  const client = await connectPostgres({ ...target, name, replication: true })
  try {
    await client.query(sessionSql(walSenderTimeoutMs))
    return new WalConnection(client, clock)
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error instanceof Error ? error : new TidemarkError('TM_INTERNAL', { reason: String(error) })
  }
}
