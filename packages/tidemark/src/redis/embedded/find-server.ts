import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** The servers that will do, the better known first. */
const programs = ['redis-server', 'valkey-server'] as const

/** The absolute path of a Redis server's program on PATH; undefined where there is none. */
export const findRedisServer = async (path = process.env['PATH'] ?? ''): Promise<string | undefined> => {
  const folders = path.split(delimiter).filter((folder) => folder !== '')
  for (const program of programs) {
    for (const folder of folders) {
      const file = join(folder, program)
      const found = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
      if (found) return file
    }
  }
  return undefined
}
