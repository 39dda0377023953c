import type { CaptureDatabase, CaptureHold, CaptureTable, WaitOptions } from './capture.js'
import { takeControl } from './control.js'
import { OwnObjects } from './own-objects.js'
import { withOwnSchemaChange } from './own-schema.js'

/**
 * Takes our triggers off tables that do not go by their names any more. Under PRAGMA legacy_alter_table a renamed table carries triggers along
 * that still say its old name, and so takes no writes. Should the table come back, `watchSchema` finds it unarmed. Raises TM_MOVE_FENCED,
 * TM_SQLITE_CHANGED, TM_SQLITE_LOCKED.
 */
export const letGo = async (
  file: CaptureDatabase,
  hold: CaptureHold,
  tables: readonly CaptureTable[],
  options: WaitOptions = {},
): Promise<void> => {
  const isHeld = await file.read((db) => {
    const own = new OwnObjects(db)
    return tables.some((table) => own.has(table))
  }, options)
  if (!isHeld) return
  await file.write((db) => {
    takeControl(db, hold)
    withOwnSchemaChange(db, () => {
      const own = new OwnObjects(db)
      for (const table of tables) own.clear(table)
    })
  }, options)
}
