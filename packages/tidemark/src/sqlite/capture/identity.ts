import { isTidemarkError, TidemarkError } from '../../errors.js'
import { fileIdOf } from '../file-facts.js'
import type { SqliteFileId } from '../sqlite.js'
import type { CaptureDatabase } from './capture.js'
import { requireControl } from './control.js'
import { logHead } from './log.js'

const fileAt = (path: string): SqliteFileId => {
  try {
    return fileIdOf(path)
  } catch (error) {
    if (!isTidemarkError(error)) throw error
    throw new TidemarkError('TM_SQLITE_CHANGED', { path, reason: 'no file stands at its path any more' }, { cause: error })
  }
}

/**
 * Makes sure, within the caller's transaction, that the open file is still the one at its path and still the captured one, and that its log
 * was not set back behind `readSeq`, what was read from it before. Raises TM_SQLITE_CHANGED.
 */
export const checkIdentity = (file: Pick<CaptureDatabase, 'path' | 'db' | 'fileId'>, captureId: string, readSeq = 0n): void => {
  const { path, db, fileId } = file
  const { inode, device } = fileAt(path)
  if (inode !== fileId.inode || device !== fileId.device)
    throw new TidemarkError('TM_SQLITE_CHANGED', { path, reason: 'another file has taken its place since it was opened' })
  requireControl(db, captureId)
  const head = logHead(db)
  if (head < readSeq)
    throw new TidemarkError('TM_SQLITE_CHANGED', {
      path,
      reason: `its log ends at ${head}, and ${readSeq} was read from it before: an older copy was put in its place`,
    })
}
