/** Scans all tables, on two threads where the file is large enough to be worth them. */
import { Worker } from 'node:worker_threads'
import type { Database } from 'better-sqlite3'
import { TidemarkError } from '../../errors.js'
import { builtWorker } from '../built-worker.js'
import { type PortableError, unpackError } from '../portable-error.js'
import { quoteSqlite } from '../row-source.js'
import { joinParts, type ScanPart, type ScanRequest, scanPart, type TableFacts } from './scan.js'

export interface ScanTablesOptions {
  readonly database: Database
  readonly path: string
  readonly busyTimeoutMs: number
  /** 0: in the caller's thread. */
  readonly workers: number
  readonly signal: AbortSignal | undefined
  /** Called once for each table, when it is done. */
  readonly onTable: (table: string, rows: number) => void
}

interface Task {
  readonly index: number
  readonly part: ScanPart['part']
}

type Answer = { readonly result?: ScanPart; readonly error?: PortableError }

/** Hands out tasks to threads until none is left; the first failure ends them all. */
const runTasks = async (
  requests: readonly ScanRequest[],
  tasks: Task[],
  options: ScanTablesOptions,
  take: (task: Task, result: ScanPart) => void,
) => {
  const { path, busyTimeoutMs, workers: count, signal } = options
  const workers: Worker[] = []
  let open = tasks.length
  try {
    await new Promise<void>((resolve, reject) => {
      if (open === 0) resolve()
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      if (signal?.aborted) reject(signal.reason)
      for (let i = 0; i < count; i++) {
        const worker = new Worker(builtWorker('plan/scan-worker.js'), {
          workerData: { path, busyTimeoutMs },
          resourceLimits: { maxYoungGenerationSizeMb: 4 },
        })
        let current: Task | undefined
        workers.push(worker)
        worker.on('error', (error) => reject(new TidemarkError('TM_MOVE_WORKER', { reason: error.message }, { cause: error })))
        worker.on('message', ({ result, error }: Answer) => {
          if (error) reject(unpackError(error))
          if (current && result) {
            take(current, result)
            open--
          }
          current = tasks.shift()
          if (current) worker.postMessage({ part: current.part, request: requests[current.index] })
          else if (open === 0) resolve()
        })
      }
    })
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

/** About how many rows a table has, from its largest rowid: enough to begin with the large ones. */
const roughRows = (database: Database, { name, rowidName }: ScanRequest['table']): number => {
  if (rowidName === null) return 0
  return Number(
    database
      .prepare(`SELECT max(${quoteSqlite(rowidName)}) FROM ${quoteSqlite(name)}`)
      .pluck()
      .get() ?? 0,
  )
}

/** The facts of each table asked for, in the same order. */
export const scanTables = async (
  requests: readonly ScanRequest[],
  options: ScanTablesOptions,
): Promise<readonly TableFacts[]> => {
  const { database, workers, signal, onTable } = options
  const parts = requests.map(
    (): { count?: Extract<ScanPart, { part: 'count' }>; look?: Extract<ScanPart, { part: 'look' }> } => ({}),
  )
  const take = ({ index }: Task, result: ScanPart): void => {
    const found = parts[index]!
    if (result.part === 'count') found.count = result
    else found.look = result
    if (found.count && found.look) onTable(requests[index]!.table.name, found.count.rows)
  }
  const sizes = requests.map(({ table }) => roughRows(database, table))
  const tasks = requests
    .flatMap((_request, index): Task[] => [
      { index, part: 'look' },
      { index, part: 'count' },
    ])
    .sort((a, b) => sizes[b.index]! - sizes[a.index]!)
  if (workers > 0) await runTasks(requests, tasks, options, take)
  else for (const task of tasks) take(task, scanPart(database, task.part, requests[task.index]!, signal))
  return requests.map((request, i) => joinParts(database, request, parts[i]!.count!, parts[i]!.look!))
}
