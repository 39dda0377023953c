import type { FastifyReply, FastifyRequest } from 'fastify'
import type { JobContext, Jobs } from '../jobs.js'
import type { Run } from '../operations/move/move.js'

/** Moves tell by events what they do; a job keeps them under their type. Bytes of a rejected value stay in Postgres. */
const runOf = ({ signal, emit }: JobContext): Run => ({
  signal,
  onEvent: (event) => {
    const { type, ...rest } = event
    emit(type, event.type === 'reject' ? { reject: { ...event.reject, bytes: null } } : rest)
  },
})

const wantsAsync = ({ headers }: FastifyRequest): boolean => /(^|,)\s*respond-async\b/i.test(String(headers['prefer'] ?? ''))

/**
 * Runs an operation as a job. With `Prefer: respond-async` the answer is 202 and the job's address; otherwise it is the
 * operation's result when it is there, and a caller that hangs up before cancels it.
 */
export const runJob = async (
  jobs: Jobs,
  request: FastifyRequest,
  reply: FastifyReply,
  kind: string,
  operation: (run: Run) => Promise<unknown>,
): Promise<FastifyReply> => {
  const { file } = (request.body ?? {}) as { readonly file?: unknown }
  const subject = typeof file === 'string' ? file : undefined
  const job = jobs.start(kind, (context) => operation(runOf(context)), subject)
  const url = `/admin/v1/jobs/${job.id}`
  if (wantsAsync(request)) {
    return reply.status(202).header('location', url).header('preference-applied', 'respond-async').send({ job: job.id, url })
  }
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) job.cancel()
  })
  return reply.send(await job.outcome)
}
