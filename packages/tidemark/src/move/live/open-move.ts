/** What a command on a live move works with: a session, the record, and the file. */

import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { reconcileRecord } from '../rollback/reconcile-record.js'
import { openMoveFile } from './file.js'
import { isHeldByAnother } from './holding.js'
import type { LiveRun } from './live-run.js'
import { requireLiveRun } from './record.js'
import { choiceOf, withSession } from './session.js'
import type { LiveMoveOptions } from './switch-options.js'

export interface OpenedMove {
  readonly client: pg.Client
  readonly run: LiveRun
  readonly file: CaptureDatabase
}

/** Runs one command's work with the record and the file open. Raises TM_MOVE_NO_PLAN, TM_SQLITE_*, TM_POSTGRES_*. */
export const withMove = <T>(options: LiveMoveOptions, work: (move: OpenedMove) => Promise<T>): Promise<T> =>
  withSession(options, async (client) => {
    const found = await requireLiveRun(client, choiceOf(options))
    const file = await openMoveFile(options)
    try {
      const run = await reconcileRecord(client, file, found, options)
      return await work({ client, run, file })
    } finally {
      file.close()
    }
  })

/** Raises TM_MOVE_RUNNING where another process is in the middle of a switch. */
export const refuseWhileSwitching = async (client: pg.Client, run: LiveRun): Promise<void> => {
  if (run.state !== 'cuttingOver' && run.state !== 'rollingBack') return
  if (!(await isHeldByAnother(client, run))) return
  throw new TidemarkError('TM_MOVE_RUNNING', { path: run.path, pid: run.holder?.pid ?? 0, host: run.holder?.host ?? 'unknown' })
}
