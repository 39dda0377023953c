import { TidemarkError } from '../../errors.js'

export const oldestMajor = 15
const newestMajor = 18

interface Asker {
  query(text: string): Promise<{ readonly rows: readonly unknown[] }>
}

/** The server's major version. Raises TM_POSTGRES_VERSION where Tidemark does not work with it. */
export const checkVersion = async (client: Asker, target: string): Promise<number> => {
  const { rows } = await client.query(
    `select current_setting('server_version') as version, current_setting('server_version_num')::int as number`,
  )
  const { version, number } = rows[0] as { version: string; number: number }
  return checkedMajor(version, number, target)
}

/** The major version of a `server_version_num` such as 180004. Raises TM_POSTGRES_VERSION. */
export const checkedMajor = (version: string, number: number, target: string): number => {
  const major = Math.floor(number / 10_000)
  if (major < oldestMajor || major > newestMajor) throw new TidemarkError('TM_POSTGRES_VERSION', { target, version })
  return major
}
