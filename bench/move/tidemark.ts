import { join } from 'node:path'
import { root } from '../../scripts/repository.ts'
import { lastWords, type RunResult, runProcess } from '../measuring/run-process.ts'
import type { Arena, Contender } from './contender.ts'

const executable = join(root, 'packages/tidemark/bin/tidemark.js')

/** What every report says. */
interface OkJson {
  readonly ok: boolean
}

/** What the benchmark reads of `move copy --json`. */
interface CopyJson extends OkJson {
  readonly copyMs: number
  /** Of the copy without the plan and the start of the process. */
  readonly elapsedMs: number
}

const reportOf = <T extends OkJson>(what: string, run: RunResult): T => {
  if (run.exitCode !== 0) throw new Error(`${what} ended with ${run.exitCode ?? 'a signal'}:\n${lastWords(run)}`)
  const report = JSON.parse(run.stdout) as T
  if (report.ok !== true) throw new Error(`${what} reports that it is not ok`)
  return report
}

export interface TidemarkContender extends Contender {
  /** Makes roles and platform tables, once for each database. Gives its time. */
  prepare(): Promise<number>
}

/** The built command as a user runs it, start and end of the process included. */
export const createTidemark = ({ file, url, folder, signal }: Arena, verify: boolean): TidemarkContender => {
  // Only what a command needs: the settings of whoever measures decide nothing. As with --to, but no password shows in a list of processes.
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', DATABASE_URL: url }
  const run = (...args: string[]): Promise<RunResult> =>
    runProcess(process.execPath, [executable, 'move', ...args, '--json'], { cwd: folder, env, signal })
  return {
    name: 'tidemark',
    exact: true,
    prepare: async () => {
      const status = await run('status')
      if (status.exitCode !== 0) throw new Error(`the database could not be prepared:\n${lastWords(status)}`)
      return status.wallMs
    },
    copy: async (schema) => {
      const copied = await run('copy', file, '--schema', schema)
      const { copyMs, elapsedMs } = reportOf<CopyJson>('move copy', copied)
      if (!Number.isFinite(copyMs + elapsedMs)) throw new Error('move copy reports no copyMs or no elapsedMs')
      const verified = verify ? await run('verify', file, '--schema', schema) : undefined
      if (verified) reportOf('move verify', verified)
      return {
        copyMs,
        beforeMs: copied.wallMs - elapsedMs,
        afterMs: elapsedMs - copyMs,
        totalMs: copied.wallMs,
        ...(copied.memory && { memory: copied.memory }),
        ...(verified && { verifyMs: verified.wallMs }),
      }
    },
  }
}
