/** What the house decides, for all processes. */
import type { Settings } from '../answers.js'
import type { Db } from '../rows.js'
import { selected } from '../tables.js'

const columns = 'allow_self_approval, quiet_from::text, quiet_until::text, updated_at'

export const readSettings = async (db: Db): Promise<Settings> =>
  (await selected<Settings>(db, `select ${columns} from re_engine.settings`))[0]!

export interface SettingsChange {
  readonly allow_self_approval?: boolean | undefined
  readonly quiet_from?: string | null | undefined
  readonly quiet_until?: string | null | undefined
}

export const changeSettings = async (db: Db, change: SettingsChange): Promise<Settings> => {
  const [settings] = await selected<Settings>(
    db,
    `update re_engine.settings
        set allow_self_approval = coalesce($1, allow_self_approval),
            quiet_from = case when $2 then $3::time else quiet_from end, quiet_until = case when $2 then $4::time else quiet_until end
      returning ${columns}`,
    [change.allow_self_approval ?? null, change.quiet_from !== undefined, change.quiet_from ?? null, change.quiet_until ?? null],
  )
  return settings!
}
