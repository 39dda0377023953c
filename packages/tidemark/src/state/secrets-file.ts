import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TidemarkError } from '../errors.js'
import { hasErrno, usable, writeWhole } from './files.js'

const fileName = 'secrets.json'

const isRecordOfStrings = (value: unknown): value is Record<string, string> =>
  typeof value === 'object' && value !== null && Object.values(value).every((entry) => typeof entry === 'string')

const parse = (path: string, text: string): Record<string, string> => {
  try {
    const value: unknown = JSON.parse(text)
    if (isRecordOfStrings(value)) return value
  } catch {
    // Not JSON: answered below, and without the parser's message, which quotes the content.
  }
  throw new TidemarkError('TM_STATE_FOLDER_UNUSABLE', { path, reason: 'the file does not hold a JSON object of strings' })
}

const readSecrets = async (path: string): Promise<Record<string, string>> => {
  try {
    return parse(path, await readFile(path, 'utf8'))
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return {}
    throw error
  }
}

/** Secrets that were generated for this project, in a file that only its user can read. */
export const openSecrets = (dir: string, lock: <T>(name: string, fn: () => Promise<T>) => Promise<T>) => {
  const path = join(dir, fileName)
  return (name: string, make = () => randomBytes(32).toString('base64url')): Promise<string> =>
    usable(dir, async () => {
      const known = (await readSecrets(path))[name]
      if (known !== undefined) return known
      return lock('secrets', async () => {
        const secrets = await readSecrets(path)
        const secret = secrets[name] ?? make()
        await writeWhole(path, `${JSON.stringify({ ...secrets, [name]: secret }, undefined, 2)}\n`)
        return secret
      })
    })
}
