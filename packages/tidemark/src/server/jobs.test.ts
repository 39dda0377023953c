import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { TidemarkError } from '../errors.js'
import { createFakeClock } from '../testing/fake-clock.js'
import { until } from '../time/until.js'
import { streamJob } from './http/event-stream.js'
import { createJobs, type Job, type JobContext } from './jobs.js'

/** A job that does what the test says, and ends when the test says. */
const controlled = () => {
  const jobs = createJobs({ clock: createFakeClock(Date.UTC(2024, 5, 1)) })
  let context!: JobContext
  let end!: { resolve(value: unknown): void; reject(error: unknown): void }
  const job = jobs.start('move.copy', (given) => {
    context = given
    return new Promise((resolve, reject) => {
      end = { resolve, reject }
      given.signal.addEventListener('abort', () => reject(new Error('aborted by its signal')))
    })
  })
  return { jobs, job, emit: (type: string, data: unknown = {}) => context.emit(type, data), end }
}

describe('a job', () => {
  test('shows its result when it succeeded', async () => {
    const { job, end } = controlled()
    expect(job.view()).toMatchObject({
      kind: 'move.copy',
      state: 'running',
      startedAt: '2024-06-01T00:00:00.000Z',
      finishedAt: null,
      result: null,
    })
    end.resolve({ rows: 3 })
    await expect(job.outcome).resolves.toEqual({ rows: 3 })
    expect(job.view()).toMatchObject({ state: 'succeeded', result: { rows: 3 }, error: null })
  })

  test('shows its error when it failed', async () => {
    const { job, end } = controlled()
    end.reject(new TidemarkError('TM_SERVER_STOPPING', {}))
    await expect(job.outcome).rejects.toMatchObject({ code: 'TM_SERVER_STOPPING' })
    expect(job.view()).toMatchObject({ state: 'failed', error: { code: 'TM_SERVER_STOPPING', retryable: true } })
  })

  test('is cancelled by its signal, whatever it raises then', async () => {
    const { job, jobs } = controlled()
    const stopped = jobs.stop()
    await expect(job.outcome).rejects.toMatchObject({ code: 'TM_SERVER_JOB_CANCELLED' })
    await stopped
    expect(job.view()).toMatchObject({ state: 'cancelled' })
    await jobs.idle()
  })

  test('tells nothing any more once it is over', async () => {
    const { job, emit, end } = controlled()
    emit('notice')
    end.resolve(null)
    await job.outcome
    emit('notice')
    expect(job.eventsAfter(0).events).toHaveLength(1)
    const heard: unknown[] = []
    job.listen((event) => heard.push(event))
    expect(heard).toEqual([undefined])
  })

  test('keeps what happened once longer than progress', () => {
    const { job, emit } = controlled()
    emit('phase')
    for (let i = 0; i < 3000; i++) emit('progress', { i })
    const { lost, events } = job.eventsAfter(0)
    expect(lost).toBe(true)
    expect(events).toHaveLength(1000)
    expect(events[0]).toMatchObject({ id: 1, type: 'phase' })
    expect(events.at(-1)).toMatchObject({ id: 3001, data: { i: 2999 } })
    expect(job.eventsAfter(2500)).toMatchObject({ lost: false })
  })

  test('a reader that stops anywhere and comes back misses nothing that is kept', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 60 }), (count, seen) => {
        const { job, emit } = controlled()
        for (let i = 0; i < count; i++) emit('progress', i)
        expect(job.eventsAfter(seen).events.map(({ id }) => id)).toEqual(
          Array.from({ length: Math.max(0, count - seen) }, (_, index) => seen + index + 1),
        )
      }),
    )
  })

  test('a hundred finished ones are kept, and all that run', async () => {
    const jobs = createJobs()
    const running = jobs.start(
      'long',
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    )
    for (let i = 0; i < 120; i++) await jobs.start('short', async () => i).outcome
    expect(jobs.list()).toHaveLength(100)
    expect(jobs.list()[0]).toMatchObject({ kind: 'short', result: 119 })
    expect(jobs.get(running.id)).toBe(running)
    await jobs.stop()
  })
})

describe('a job as Server-Sent Events', () => {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0)) close()
  })

  const serve = async (job: Job): Promise<string> => {
    const server = createServer((request, response) => {
      streamJob(job, Number(request.headers['last-event-id'] ?? 0), response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('begins after the last event that the reader has seen, goes on live, and ends with the view', async () => {
    const { job, emit, end } = controlled()
    emit('phase', { phase: 'copy' })
    emit('progress', { rowsDone: 1 })
    const response = await fetch(await serve(job), { headers: { 'last-event-id': '1' } })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    emit('progress', { rowsDone: 2 })
    end.resolve({ ok: true })
    const text = await response.text()
    expect([...text.matchAll(/^(?:id|event): (.*)$/gm)].map(([, value]) => value)).toEqual([
      '2',
      'progress',
      '3',
      'progress',
      'end',
    ])
    expect(text).not.toContain('"copy"')
    expect(text).toContain('"result":{"ok":true}')
  })

  test('says when events between are no longer kept', async () => {
    const { job, emit, end } = controlled()
    for (let i = 0; i < 1500; i++) emit('progress', i)
    end.resolve(null)
    await job.outcome
    const text = await (await fetch(await serve(job), { headers: { 'last-event-id': '10' } })).text()
    expect(text).toContain('event: gap\ndata: {"after":10}\n\n')
    expect(text).toContain('event: end')
  })

  test('a reader that does not read is cut off, and does not hold the job', async () => {
    const { job, emit, end } = controlled()
    const response = await fetch(await serve(job))
    const filler = 'x'.repeat(256 * 1024)
    const sent = await until(
      () => {
        emit('notice', { filler })
        return job.eventsAfter(0).events.length > 60
      },
      { intervalMs: 1 },
    )
    expect(sent).toBe(true)
    await expect(response.text()).rejects.toThrow()
    end.resolve('done')
    await expect(job.outcome).resolves.toBe('done')
  })
})
