#!/usr/bin/env node
/** `npm run import -w apps/chat -- --redis URL --database URL`: see README.md. Data on standard output, everything else on standard error. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createPools, createRedis, isTidemarkError, type Pool, type Redis, type RedisOptions } from 'tidemark'
import { importChats, type Progress } from './import-chats.js'
import { type RemovalReport, removeKeys } from './remove-keys.js'
import { renderRemoval, renderReport, renderRuns, renderUndo } from './render-report.js'
import { type ImportReport, isBalanced, isVerified } from './report.js'
import { importRuns, undoImport } from './undo-import.js'

const usage = `Usage: npm run import -w apps/chat -- [command] [--redis URL] [--database URL] [options]

  (no command)       brings in what is new, and compares both sides
  runs               the imports there were
  undo RUN           takes one back: chats that it made go, chats that it let grow get shorter
  remove-keys        compares both sides, and takes what is in Postgres out of Redis, for good

  --redis URL        redis://, rediss://, or https:// of Upstash (its token in UPSTASH_REDIS_REST_TOKEN). Default: REDIS_URL
  --database URL     Postgres, with the migrations of apps/chat applied. Default: DATABASE_URL
  --prefix TEXT      what stands before chat:{id} and user:v2:chat:{userId}
  --dry-run          reads both sides and writes nothing; with every command
  --verify           only compares both sides
  --accept-rejects   ends with 0 though something was rejected
  --json             the report as JSON

Exit codes: 0 all of it is in Postgres · 1 failed · 2 usage · 4 a server cannot be reached · 5 both sides differ ·
6 something was rejected, or kept · 130 interrupted
`

export const exitCodes = { ok: 0, failed: 1, usage: 2, unreachable: 4, differs: 5, rejects: 6, interrupted: 130 } as const

class UsageError extends Error {}

const commands = ['import', 'runs', 'undo', 'remove-keys'] as const

type Command = (typeof commands)[number]

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

const readCommand = ([name = 'import', ...operands]: readonly string[]): { readonly command: Command; readonly run: string } => {
  const command = commands.find((known) => known === name)
  if (command === undefined) throw new UsageError(`there is no command ${name}`)
  const [run = ''] = operands
  if (operands.length > (command === 'undo' ? 1 : 0)) throw new UsageError(`${name} takes no ${operands.at(-1)}`)
  if (command === 'undo' && !uuid.test(run)) throw new UsageError('undo takes the id of an import; runs lists them')
  return { command, run }
}

const readArguments = (argv: readonly string[], env: NodeJS.ProcessEnv) => {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
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
    const { command, run } = readCommand(positionals)
    if (values.verify && command !== 'import') throw new UsageError(`--verify does not go with ${command}`)
    return { ...values, command, run, redis: values.redis ?? env['REDIS_URL'], database: values.database ?? env['DATABASE_URL'] }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError((error as Error).message)
  }
}

const redisOptions = (url: string, env: NodeJS.ProcessEnv): RedisOptions => ({
  commandTimeoutMs: 30_000,
  ...(/^https?:/.test(url) ? { restUrl: url, restToken: env['UPSTASH_REDIS_REST_TOKEN'] ?? '' } : { url }),
})

const phaseWords: Readonly<Record<Progress['phase'], string>> = { import: 'read', verify: 'compared', remove: 'went through' }

/** A line a second at most, and one at the end of each phase. */
const createProgressLines = (write: (text: string) => void) => {
  let lastMs = Number.NEGATIVE_INFINITY
  return ({ phase, done, total }: Progress): void => {
    const nowMs = performance.now()
    if (done < total && nowMs - lastMs < 1000) return
    lastMs = nowMs
    write(`${phaseWords[phase]} ${done} of ${total} chats\n`)
  }
}

const exitCodeOf = (report: ImportReport, acceptsRejects: boolean): number => {
  if (!isBalanced(report)) return exitCodes.failed
  if (report.verification && !isVerified(report.verification)) return exitCodes.differs
  const rejects = report.chats.rejected + report.messages.rejected
  return rejects > 0 && !acceptsRejects ? exitCodes.rejects : exitCodes.ok
}

const removalCode = ({ verification, chats }: RemovalReport, acceptsRejects: boolean): number => {
  if (!isVerified(verification)) return exitCodes.differs
  return chats.changed + chats.kept > 0 && !acceptsRejects ? exitCodes.rejects : exitCodes.ok
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

/** What a command has to tell, and its exit code. */
interface Told {
  readonly report: unknown
  readonly text: string
  readonly code: number
}

type Arguments = ReturnType<typeof readArguments>

interface Work {
  readonly pool: Pool
  readonly given: Arguments
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** Of commands that leave Redis alone. */
const tellOfPostgres = async ({ pool, given, signal }: Work): Promise<Told | undefined> => {
  if (given.command === 'runs') {
    const runs = await importRuns(pool)
    return { report: runs, text: renderRuns(runs), code: exitCodes.ok }
  }
  if (given.command !== 'undo') return undefined
  const report = await undoImport({ pool, run: given.run.toLowerCase(), dryRun: given['dry-run'], signal })
  const isWhole = report.chats.kept === 0 || given['accept-rejects']
  return { report, text: renderUndo(report), code: isWhole ? exitCodes.ok : exitCodes.rejects }
}

const tellOfBoth = async ({ pool, given, signal, onProgress }: Work, redis: Redis): Promise<Told> => {
  const options = { redis, pool, prefix: given.prefix, dryRun: given['dry-run'], signal, onProgress }
  if (given.command === 'remove-keys') {
    const report = await removeKeys(options)
    return { report, text: renderRemoval(report), code: removalCode(report, given['accept-rejects']) }
  }
  const report = await importChats({ ...options, verifyOnly: given.verify })
  return { report, text: renderReport(report), code: exitCodeOf(report, given['accept-rejects']) }
}

const work = async (
  given: Arguments,
  onProgress: Work['onProgress'],
  signal: AbortSignal,
  env: NodeJS.ProcessEnv,
): Promise<Told> => {
  const { redis: redisUrl, database, command } = given
  const needsRedis = command === 'import' || command === 'remove-keys'
  if (database === undefined || (needsRedis && redisUrl === undefined))
    throw new UsageError(needsRedis ? '--redis and --database are needed' : '--database is needed')
  const pools = createPools({ url: database, pools: { primary: { minConnections: 0, maxConnections: 2 } } })
  let redis: Redis | undefined
  try {
    const ready: Work = { pool: pools.primary, given, signal, onProgress }
    const told = await tellOfPostgres(ready)
    if (told) return told
    redis = await createRedis(redisOptions(redisUrl ?? '', env))
    return await tellOfBoth(ready, redis)
  } finally {
    await Promise.allSettled([redis?.stop(), pools.stop()])
  }
}

/** The command line; answers with the exit code. */
export const main = async (
  argv: readonly string[],
  { out, err }: Streams,
  signal: AbortSignal = new AbortController().signal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> => {
  try {
    const given = readArguments(argv, env)
    if (given.help) {
      out(usage)
      return exitCodes.ok
    }
    const { report, text, code } = await work(given, createProgressLines(err), signal, env)
    out(given.json ? `${JSON.stringify(report)}\n` : text)
    return code
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
