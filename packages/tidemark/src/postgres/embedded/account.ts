import { readFile, stat } from 'node:fs/promises'
import { TidemarkError } from '../../errors.js'

/** The user a server runs as. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

interface PasswdEntry extends Account {
  readonly name: string
}

const parsePasswd = (text: string): PasswdEntry[] =>
  text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 4)
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))

const nobody = 65_534
const unprivilegedNames = ['nobody', 'postgres', 'daemon']

/** An account without rights that the system knows: Postgres looks its own name up, so a bare number will not do. */
export const chooseAccount = (passwd: string): Account | undefined => {
  const entries = parsePasswd(passwd).filter(({ uid }) => uid > 0)
  const chosen =
    entries.find(({ uid }) => uid === nobody) ??
    unprivilegedNames.map((wanted) => entries.find(({ name }) => name === wanted)).find((entry) => entry !== undefined)
  return chosen && { uid: chosen.uid, gid: chosen.gid }
}

/**
 * Postgres refuses to run as root. Gives the account to run it as instead: the owner of data that is already there,
 * else an unprivileged one; undefined where this process is not root and runs it as itself.
 */
export const serverAccount = async (dataDir: string): Promise<Account | undefined> => {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(dataDir).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const account = chooseAccount(await readFile('/etc/passwd', 'utf8').catch(() => ''))
  if (account) return account
  throw new TidemarkError('TM_POSTGRES_EMBEDDED_START', {
    reason: 'it may not run as root, and /etc/passwd names no unprivileged user',
    fix: 'Run the command as an ordinary user, or add a user "nobody".',
  })
}
