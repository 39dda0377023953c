/**
 * Takes the file's writes away from the application and gives them back.
 *
 * ```
 *  open ─beginCut─► cutting ─seal─► cut ─openAgain─► open
 *                     │ ▲ extendCut
 *                     └─┴─openAgain, or by itself when its time is over─► open
 * ```
 */
import { TidemarkError } from '../../errors.js'
import type { SqliteDatabase, SqliteSchema } from '../sqlite.js'
import { type LostTrigger, restoreTriggers, setTriggersAside } from './app-triggers.js'
import { inSteps, writeBySchema } from './by-schema.js'
import type { CaptureDatabase, CaptureHold, CaptureTable, FenceState, WaitOptions } from './capture.js'
import { nowMsSql, requireControl, takeControl } from './control.js'
import { checkIdentity } from './identity.js'
import { logHead } from './log.js'
import { OwnObjects, placeOf } from './own-objects.js'
import { appSchemaVersion, withOwnSchemaChange } from './own-schema.js'
import { storedTables } from './stored-tables.js'

type Control = ReturnType<typeof takeControl>

const expired = (db: SqliteDatabase, reason: string): TidemarkError =>
  new TidemarkError('TM_SQLITE_CUT_EXPIRED', { path: db.name, reason })

const nowMs = (db: SqliteDatabase): number => db.prepare<[], number>(`SELECT ${nowMsSql}`).safeIntegers(false).pluck().get() ?? 0

const checkSchema = (db: SqliteDatabase, control: Control, expected: number = Number(control.app_schema_version)): void => {
  const found = appSchemaVersion(db)
  if (found === expected && BigInt(found) === control.app_schema_version) return
  throw new TidemarkError('TM_SQLITE_CHANGED', {
    path: db.name,
    reason: 'its schema was changed just before writes were held back',
  })
}

const checkCutting = (db: SqliteDatabase, { fence, cutting_until: until }: Control): void => {
  if (fence !== 'cutting') throw expired(db, 'the file was opened again meanwhile')
  const late = nowMs(db) - Number(until)
  if (late >= 0) throw expired(db, `their time was over ${late} ms ago`)
}

const setCutting = (db: SqliteDatabase, pauseMs: number): number => {
  const until = nowMs(db) + pauseMs
  db.prepare(`UPDATE _tidemark_control SET fence = 'cutting', cutting_until = ?`).run(BigInt(Math.round(until)))
  return until
}

export interface BeginCutOptions extends WaitOptions {
  /** For how long writes are refused, unless {@link extendCut} prolongs it. */
  readonly pauseMs: number
  /** The schema that was last looked at, as in {@link SchemaWatch}. */
  readonly schemaVersion: number
}

const refuseAll = (db: SqliteDatabase, captures: readonly CaptureTable[]): void =>
  withOwnSchemaChange(db, () => {
    const own = new OwnObjects(db)
    for (const capture of captures) own.refuse(capture)
  })

/**
 * Refuses writes to the captured tables from its commit on, for every program, until a moment that it answers (milliseconds since 1970).
 * Whoever holds the write lock finishes first. Raises TM_SQLITE_CHANGED, TM_MOVE_FENCED, TM_SQLITE_LOCKED; and TM_MOVE_NOT_ALLOWED where the
 * file is cut already.
 */
export const beginCut = async (file: CaptureDatabase, hold: CaptureHold, options: BeginCutOptions): Promise<number> => {
  const check = (db: SqliteDatabase): void => {
    checkIdentity(file, hold.captureId)
    const control = takeControl(db, hold)
    if (control.fence === 'cut')
      throw new TidemarkError('TM_MOVE_NOT_ALLOWED', {
        reason: `${db.name} has been cut over already.`,
        fix: 'See `tidemark move status`.',
      })
    checkSchema(db, control, options.schemaVersion)
  }
  const prepare = (db: SqliteDatabase, captures: readonly CaptureTable[]): boolean => {
    check(db)
    refuseAll(db, captures)
    return true
  }
  const captures = await file.read((db) => {
    requireControl(db, hold.captureId)
    return storedTables(db)
  }, options)
  // The triggers stand aside until the control row says otherwise, so they can be made beforehand.
  await inSteps(file, captures, prepare, options)
  return file.write((db) => {
    prepare(db, storedTables(db))
    return setCutting(db, options.pauseMs)
  }, options)
}

/** Holds writes back for longer, from now on. Raises TM_SQLITE_CUT_EXPIRED where they are not held back any more. */
export const extendCut = (
  file: CaptureDatabase,
  hold: CaptureHold,
  { pauseMs, ...wait }: WaitOptions & { readonly pauseMs: number },
): Promise<number> =>
  file.write((db) => {
    checkCutting(db, takeControl(db, hold))
    return setCutting(db, pauseMs)
  }, wait)

export interface SealOptions extends WaitOptions {
  /** The last entry of the log that is in Postgres: there must be none behind it. */
  readonly drainedSeq: bigint
}

/**
 * Makes the refusal last, in one transaction: writes are still held back, nothing was written or redefined meanwhile, the application's
 * triggers stand aside. Done already, it does nothing. Raises TM_SQLITE_CUT_EXPIRED, TM_SQLITE_CHANGED, TM_MOVE_FENCED.
 */
export const seal = (file: CaptureDatabase, hold: CaptureHold, { drainedSeq, ...wait }: SealOptions): Promise<void> =>
  file.write((db) => {
    const control = takeControl(db, hold)
    if (control.fence === 'cut') return
    checkIdentity(file, hold.captureId, drainedSeq)
    checkCutting(db, control)
    checkSchema(db, control)
    const head = logHead(db)
    if (head !== drainedSeq) throw expired(db, `the log stands at ${head}, and only ${drainedSeq} was brought over`)
    const captures = storedTables(db)
    withOwnSchemaChange(db, () => {
      setTriggersAside(db, captures)
      const own = new OwnObjects(db)
      for (const capture of captures) own.release(capture)
    })
    db.prepare(`UPDATE _tidemark_control SET fence = 'cut', cutting_until = NULL`).run()
  }, wait)

export interface OpenAgainOptions extends WaitOptions {
  /** Kept in the control row; why it was opened, where it was without Postgres. */
  readonly note?: string
}

export interface OpenedAgain {
  /** Changes that the application commits from now on have higher numbers. */
  readonly head: bigint
  /** Triggers of the application that could not be made again. */
  readonly lostTriggers: readonly LostTrigger[]
  /** Captured tables that are not there any more and so are not captured. */
  readonly missing: readonly string[]
}

/** Arms the tables that are as we left them. Any other stays without our triggers, so that `watchSchema` names it. */
const captureAgain = (db: SqliteDatabase, schema: SqliteSchema, captures: readonly CaptureTable[], fence: FenceState): void => {
  const own = new OwnObjects(db)
  for (const capture of captures) {
    const place = placeOf(schema, capture)
    if (place && own.isArmed(place, fence)) own.capture(place)
    else own.clear(capture)
  }
}

/**
 * Gives the writes back to the application, in one transaction: the fence is gone, the capture armed, its own triggers are there again. From
 * any state. What the application did to its schema meanwhile, {@link SchemaWatch} tells as always. Raises TM_MOVE_FENCED, TM_SQLITE_CHANGED.
 */
export const openAgain = (file: CaptureDatabase, hold: CaptureHold, options: OpenAgainOptions = {}): Promise<OpenedAgain> => {
  const tables = (db: SqliteDatabase) => {
    requireControl(db, hold.captureId)
    return storedTables(db)
  }
  const each = (db: SqliteDatabase, schema: SqliteSchema, some: readonly CaptureTable[]): void => {
    const { fence } = takeControl(db, hold)
    withOwnSchemaChange(db, () => captureAgain(db, schema, some, fence))
  }
  const finish = (db: SqliteDatabase, schema: SqliteSchema, captures: readonly CaptureTable[]): OpenedAgain => {
    each(db, schema, captures)
    const lostTriggers = withOwnSchemaChange(db, () => {
      const own = new OwnObjects(db)
      for (const capture of captures) own.admit(capture)
      return restoreTriggers(db)
    })
    db.prepare(`UPDATE _tidemark_control SET fence = 'open', cutting_until = NULL, note = ?`).run(options.note ?? null)
    const missing = captures.filter((capture) => !placeOf(schema, capture)).map(({ name }) => name)
    return { head: logHead(db), lostTriggers, missing }
  }
  return writeBySchema(file, { tables, each, finish }, options)
}
