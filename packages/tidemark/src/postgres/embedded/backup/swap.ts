import { access, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrno } from '../../../state/files.js'
import type { Place } from '../place.js'
import { syncFolder } from './copy-files.js'

/** Beside the data: what is recovered, whole, and about to take its place. */
export const restoredFolder = ({ baseDir }: Place): string => join(baseDir, 'data.restored')

/** False where there is nothing of that name. */
const moveIfThere = (from: string, to: string): Promise<boolean> =>
  rename(from, to).then(
    () => true,
    (error: unknown) => {
      if (hasErrno(error, 'ENOENT')) return false
      throw error
    },
  )

/**
 * Puts the recovered data where the server looks for it. It is given a name that says that it is whole first: who dies between the last two
 * renames leaves no data in its place, and {@link finishSwap} ends what was begun. Gives where the data of before is kept; null where there was none.
 */
export const swap = async (place: Place, recovered: string, ms: number): Promise<string | null> => {
  const { dataDir, baseDir } = place
  await rename(recovered, restoredFolder(place))
  await syncFolder(baseDir)
  const kept = join(baseDir, `data.replaced-${new Date(ms).toISOString().replaceAll(/[-:]/g, '')}`)
  const wasThere = await moveIfThere(dataDir, kept)
  await rename(restoredFolder(place), dataDir)
  await syncFolder(baseDir)
  return wasThere ? kept : null
}

/** Before a start or another restore. Where the data is in its place, nothing happens. */
export const finishSwap = async (place: Place): Promise<void> => {
  const isThere = await access(place.dataDir).then(
    () => true,
    () => false,
  )
  if (!isThere && (await moveIfThere(restoredFolder(place), place.dataDir))) await syncFolder(place.baseDir)
}
