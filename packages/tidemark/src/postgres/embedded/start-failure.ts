import { isTidemarkError, TidemarkError } from '../../errors.js'

const target = 'the embedded server'

/** The lines that say why, of a program's output: without time stamps and notes. */
const tellingLines = (output: string): string => {
  const lines = output.split('\n').map((line) => line.trim())
  const telling = lines.filter((line) => /\b(FATAL|PANIC|error|cannot|could not|denied|No space)\b/i.test(line))
  const chosen = telling.length > 0 ? telling : lines.filter(Boolean)
  return chosen
    .slice(-3)
    .map((line) => line.replace(/^.*?\b(FATAL|PANIC|LOG|ERROR):\s*/, '').replace(/\.$/, ''))
    .join('; ')
}

const fixFor = (output: string): string => {
  if (/user does not exist|could not look up effective user/i.test(output)) {
    return 'The system does not know this user id: add it to /etc/passwd, or set DATABASE_URL to a Postgres server.'
  }
  if (/Permission denied|EACCES/i.test(output)) return 'Give the user of the server the right to the folder it names.'
  if (/shared library|loading shared|ENOENT|GLIBC/i.test(output)) {
    return 'The binaries need glibc; on another system set DATABASE_URL to a Postgres server.'
  }
  return 'See postgres.log in the state folder, or set DATABASE_URL to a Postgres server.'
}

/** The error for a server, or its initdb, that did not come up and left this output. */
export const startFailure = (output: string): TidemarkError => {
  const reason = tellingLines(output) || 'it ended without a word'
  if (/No space left on device|ENOSPC|Disk quota exceeded/i.test(output)) {
    return new TidemarkError('TM_POSTGRES_DISK_FULL', { target, reason })
  }
  return new TidemarkError('TM_POSTGRES_EMBEDDED_START', { reason, fix: fixFor(output) })
}

const failedWith = (error: unknown, pattern: RegExp): boolean =>
  isTidemarkError(error, 'TM_POSTGRES_EMBEDDED_START') && pattern.test(String(error.parameters['reason']))

/** True where another program listens on the port that was chosen. */
export const isPortTaken = (error: unknown): boolean => failedWith(error, /Address already in use|could not bind/i)

/** True where a killed server is not gone altogether: its sessions have not noticed yet, or it is still ending itself. */
export const isStillInUse = (error: unknown): boolean =>
  failedWith(error, /shared memory block|still in use|postmaster\.pid" already exists/i)
