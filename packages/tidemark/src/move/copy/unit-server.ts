/** Serves requests to copy parts of tables, in a worker thread or in the caller's own. */
import { isTidemarkError } from '../../errors.js'
import { type ConnectOptions, connectPostgres } from '../../postgres/driver/connect.js'
import { parseConnection } from '../../postgres/driver/connection.js'
import { toPostgresError } from '../../postgres/postgres-error.js'
import { openSqlite } from '../../sqlite/open.js'
import type { Reject } from '../move.js'
import { explainSqlite, type PortableError, packError } from '../portable-error.js'
import { type CopyUnit, copyUnit } from './copy-unit.js'

export interface WorkerData {
  readonly path: string
  readonly target: ConnectOptions
  readonly transactionBytes: number
  readonly blockBytes: number
  readonly busyTimeoutMs: number
}

export type WorkerRequest =
  | { readonly type: 'copy'; readonly unit: CopyUnit }
  | { readonly type: 'abort' }
  | { readonly type: 'stop' }

export type WorkerMessage =
  | { readonly type: 'progress'; readonly table: string; readonly rows: number; readonly bytes: number }
  | { readonly type: 'reject'; readonly reject: Reject }
  | { readonly type: 'done'; readonly table: string; readonly unit: number }
  | { readonly type: 'failed'; readonly error: PortableError }

export interface UnitServer {
  /** Copies one part; answers with messages, the last of them `done` or `failed`. */
  copy(unit: CopyUnit): Promise<void>
  abort(): void
  stop(): Promise<void>
}

/** Opens the file and a connection, and copies what it is asked to. */
export const serveUnits = async (data: WorkerData, tell: (message: WorkerMessage) => void): Promise<UnitServer> => {
  const { path, target, busyTimeoutMs, ...sizes } = data
  const client = await connectPostgres({ ...target, name: 'move' })
  const file = openSqlite(path, { readonly: true, busyTimeoutMs })
  const controller = new AbortController()
  await client.query('SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0')
  const explain = (error: unknown): unknown => {
    const explained = explainSqlite(error, path)
    return isTidemarkError(explained) ? explained : toPostgresError(explained, parseConnection(target.url, target))
  }
  return {
    copy: async (unit) => {
      const table = unit.table.source
      try {
        await copyUnit(file.db, client, unit, {
          ...sizes,
          signal: controller.signal,
          onProgress: (rows, bytes) => tell({ type: 'progress', table, rows, bytes }),
          onReject: (reject) => tell({ type: 'reject', reject }),
        })
        tell({ type: 'done', table, unit: unit.unit })
      } catch (error) {
        tell({ type: 'failed', error: packError(controller.signal.aborted ? error : explain(error)) })
      }
    },
    abort: () => controller.abort(new Error('stopped')),
    stop: async () => {
      file.close()
      await client.end()
    },
  }
}
