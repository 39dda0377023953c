#!/usr/bin/env node
/** `npm run import -w apps/chat -- --redis URL --database URL`: see README.md. Data on standard output, everything else on standard error. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createPools, createRedis, isTidemarkError, type RedisOptions } from 'tidemark'
import { importChats, type Progress } from './import-chats.js'
import { renderReport } from './render-report.js'
import { type ImportReport, isBalanced, isVerified } from './report.js'

const usage = `Usage: npm run import -w apps/chat -- [--redis URL] [--database URL] [options]

  --redis URL        redis://, rediss://, or https:// of Upstash (its token in UPSTASH_REDIS_REST_TOKEN). Default: REDIS_URL
  --database URL     Postgres, with the migrations of apps/chat applied. Default: DATABASE_URL
  --prefix TEXT      what stands before chat:{id} and user:v2:chat:{userId}
  --dry-run          reads both sides and writes nothing
  --verify           only compares both sides
  --accept-rejects   ends with 0 though something was rejected
  --json             the report as JSON

Exit codes: 0 all of it is in Postgres · 1 failed · 2 usage · 4 a server cannot be reached · 5 both sides differ ·
6 something was rejected · 130 interrupted
`

export const exitCodes = { ok: 0, failed: 1, usage: 2, unreachable: 4, differs: 5, rejects: 6, interrupted: 130 } as const

class UsageError extends Error {}

const readArguments = (argv: readonly string[], env: NodeJS.ProcessEnv) => {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        redis: { type: 'string' },
        database: { type: 'string' },
        prefix: { type: 'string', default: '' },
        'dry-run': { type: 'boolean', default: false },
        verify: { type: 'boolean', default: false },
        'accept-rejects': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values['dry-run'] && values.verify) throw new UsageError('--dry-run and --verify exclude each other')
    return { ...values, redis: values.redis ?? env['REDIS_URL'], database: values.database ?? env['DATABASE_URL'] }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError((error as Error).message)
  }
}

const redisOptions = (url: string, env: NodeJS.ProcessEnv): RedisOptions => ({
  commandTimeoutMs: 30_000,
  ...(/^https?:/.test(url) ? { restUrl: url, restToken: env['UPSTASH_REDIS_REST_TOKEN'] ?? '' } : { url }),
})

/** A line a second at most, and one at the end of each phase. */
const createProgressLines = (write: (text: string) => void) => {
  let lastMs = Number.NEGATIVE_INFINITY
  return ({ phase, done, total }: Progress): void => {
    const nowMs = performance.now()
    if (done < total && nowMs - lastMs < 1000) return
    lastMs = nowMs
    write(`${phase === 'import' ? 'read' : 'compared'} ${done} of ${total} chats\n`)
  }
}

const exitCodeOf = (report: ImportReport, acceptsRejects: boolean): number => {
  if (!isBalanced(report)) return exitCodes.failed
  if (report.verification && !isVerified(report.verification)) return exitCodes.differs
  const rejects = report.chats.rejected + report.messages.rejected
  return rejects > 0 && !acceptsRejects ? exitCodes.rejects : exitCodes.ok
}

const failure = (error: unknown, signal: AbortSignal): readonly [code: number, text: string] => {
  if (signal.aborted) return [exitCodes.interrupted, 'Interrupted. What is in Postgres stays; the next run goes on from there.\n']
  if (error instanceof UsageError) return [exitCodes.usage, `${error.message}\n\n${usage}`]
  if (!isTidemarkError(error)) return [exitCodes.failed, `${error instanceof Error ? error.message : String(error)}\n`]
  const hint =
    error.parameters['sqlstate'] === '42P01'
      ? 'Apply the migrations first: npx tidemark schema up --migrations apps/chat/migrations\n'
      : ''
  return [error.exitCode, `${error.message} ${error.fix}\n${hint}`]
}

export interface Streams {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

/** The command line; answers with the exit code. */
export const main = async (
  argv: readonly string[],
  { out, err }: Streams,
  signal: AbortSignal = new AbortController().signal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> => {
  try {
    const { redis: redisUrl, database, prefix, verify, json, help, ...flags } = readArguments(argv, env)
    if (help) {
      out(usage)
      return exitCodes.ok
    }
    if (redisUrl === undefined || database === undefined) throw new UsageError('--redis and --database are needed')
    const pools = createPools({ url: database, pools: { primary: { minConnections: 0, maxConnections: 2 } } })
    const redis = await createRedis(redisOptions(redisUrl, env)).catch(async (error: unknown) => {
      await pools.stop()
      throw error
    })
    try {
      const report = await importChats({
        redis,
        pool: pools.primary,
        prefix,
        dryRun: flags['dry-run'],
        verifyOnly: verify,
        signal,
        onProgress: createProgressLines(err),
      })
      out(json ? `${JSON.stringify(report)}\n` : renderReport(report))
      return exitCodeOf(report, flags['accept-rejects'])
    } finally {
      await Promise.allSettled([redis.stop(), pools.stop()])
    }
  } catch (error) {
    const [code, text] = failure(error, signal)
    err(text)
    return code
  }
}

const started = process.argv[1]
if (started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)) {
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error('interrupted')))
  const streams = {
    out: (text: string) => void process.stdout.write(text),
    err: (text: string) => void process.stderr.write(text),
  }
  process.exitCode = await main(process.argv.slice(2), streams, interrupted.signal)
}
