import type { ServerResponse } from 'node:http'
import type { Job, JobEvent, JobView } from '../jobs.js'

const heartbeatMs = 15_000
/** A reader that is so far behind is cut off; it resumes with Last-Event-ID. */
const maxBufferedBytes = 1024 * 1024

const frame = ({ id, type, data }: JobEvent): string => `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`

const unnumbered = (type: string, data: unknown): string => `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`

/** What of a job its reader is shown. */
export interface JobReader {
  shows(event: JobEvent): boolean
  view(): JobView
}

/**
 * Writes a job's events as Server-Sent Events: first those after `lastEventId`, then as they come, and at the end `end` with
 * the job's view. Where events were no longer kept, `gap` comes first. Ends the response; gives what ends it early.
 */
export const streamJob = (
  job: Job,
  lastEventId: number,
  response: ServerResponse,
  reader: JobReader = { shows: () => true, view: () => job.view() },
): (() => void) => {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  const { lost, events } = job.eventsAfter(lastEventId)
  response.write('retry: 1000\n\n')
  if (lost) response.write(unnumbered('gap', { after: lastEventId }))
  for (const event of events) if (reader.shows(event)) response.write(frame(event))
  const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatMs)
  heartbeat.unref()
  const close = (): void => {
    clearInterval(heartbeat)
    stopListening()
    response.end()
  }
  const stopListening = job.listen((event) => {
    if (event === undefined) {
      response.write(unnumbered('end', reader.view()))
      // The listener may be called before `listen` returns, for a job that is over.
      setImmediate(close)
    } else if (reader.shows(event)) {
      response.write(frame(event))
      if (response.writableLength > maxBufferedBytes) response.destroy()
    }
  })
  response.once('close', close)
  return close
}
