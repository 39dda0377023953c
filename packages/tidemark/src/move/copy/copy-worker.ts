/** A thread that copies parts of tables with a connection and a SQLite handle of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { packError } from '../portable-error.js'
import { serveUnits, type WorkerData, type WorkerRequest } from './unit-server.js'

const port = parentPort!
const data = workerData as WorkerData

const server = await serveUnits(data, (message) => port.postMessage(message))
port.postMessage({ type: 'ready' })

port.on('message', (request: WorkerRequest) => {
  if (request.type === 'abort') server.abort()
  else if (request.type === 'stop') void server.stop().finally(() => port.close())
  else server.copy(request.unit).catch((error: unknown) => port.postMessage({ type: 'failed', error: packError(error) }))
})
