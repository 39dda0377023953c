/** The triggers that refuse writes. RAISE(ABORT) stops every form of statement, whatever it says about conflicts. */
import type { CaptureTable } from './capture.js'
import { nowMsSql } from './control.js'
import { createTrigger, type TriggerText } from './trigger-text.js'

/** What the application is told; programs may look for the beginning. */
export const cuttingMessage = 'tidemark: this file is being moved to Postgres and takes no writes for a moment; try again'
export const cutMessage = 'tidemark: this file was moved to Postgres and takes no writes'

const isShut = `(SELECT mirroring = 0 AND (fence = 'cut' OR (fence = 'cutting' AND ${nowMsSql} < cutting_until)) FROM _tidemark_control)`

const refuse = `SELECT CASE WHEN (SELECT fence FROM _tidemark_control) = 'cut' THEN RAISE(ABORT, '${cutMessage}') ELSE RAISE(ABORT, '${cuttingMessage}') END;`

export const fenceTriggers = ({ id, name }: CaptureTable): readonly TriggerText[] =>
  ['INSERT', 'UPDATE', 'DELETE'].map((event) =>
    createTrigger(`_tidemark_${id}_refuse_${event.toLowerCase()}`, `BEFORE ${event}`, name, isShut, refuse),
  )
