/** A thread that looks at tables with a SQLite handle of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { openSqlite } from '../../sqlite/open.js'
import { explainSqlite, packError } from '../portable-error.js'
import { type ScanPart, type ScanRequest, scanPart } from './scan.js'

const port = parentPort!
const { path, busyTimeoutMs } = workerData as { readonly path: string; readonly busyTimeoutMs: number }
const file = openSqlite(path, { readonly: true, busyTimeoutMs })

port.on('message', ({ part, request }: { readonly part: ScanPart['part']; readonly request: ScanRequest }) => {
  try {
    port.postMessage({ result: scanPart(file.db, part, request) })
  } catch (error) {
    port.postMessage({ error: packError(explainSqlite(error, path)) })
  }
})
port.postMessage({})
