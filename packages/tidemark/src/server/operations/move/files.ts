import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { TidemarkError } from '../../../errors.js'

/**
 * A path that a caller named, made absolute. What exists must be a regular file: a device or a pipe would be read for ever.
 * Whether a missing file is an error is for the reader of the file to say, who knows what to suggest.
 */
export const resolveFile = async (cwd: string, path: string): Promise<string> => {
  const absolute = resolve(cwd, path)
  const found = await stat(absolute).catch(() => undefined)
  if (found && !found.isFile()) {
    throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: `${path} is not a regular file.` })
  }
  return absolute
}
