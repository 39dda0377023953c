import {
  type Access,
  type AccessDeclaration,
  accessOf,
  type Caller,
  type Operation,
  operations,
  ownerColumnsOf,
} from './declaration.js'
import { allowedMoves, allowedOutcomes, type Outcome, type OutcomeKind } from './outcome.js'
import type { Scene } from './scene.js'

/** What was tried and came out otherwise than declared. */
export type Violation = string

interface Attempt {
  readonly what: string
  readonly access: Access
  readonly allowed: readonly OutcomeKind[]
  readonly outcome: Outcome
}

const words: Readonly<Record<OutcomeKind, string>> = {
  passed: 'it passed',
  nothing: 'it ran and found nothing',
  denied: 'no grant allows it',
  refused: 'a policy refused it',
  constraint: 'no policy refused it, only a constraint',
  failed: 'it failed',
}

const violationOf = ({ what, access, allowed, outcome }: Attempt): readonly Violation[] =>
  allowed.includes(outcome.kind) ? [] : [`${what} is declared '${access}', but ${words[outcome.kind]} (${outcome.detail}).`]

interface Subject {
  readonly scene: Scene
  readonly table: string
  readonly caller: Caller
  readonly callerName: string
  readonly owners: readonly string[]
}

const checkRows = async (subject: Subject, operation: Operation, access: Access): Promise<readonly Violation[]> => {
  const { scene, table, caller, callerName, owners } = subject
  const violations: Violation[] = []
  for (const owner of owners) {
    const outcome = await scene[operation](caller, table, owner)
    const allowed = allowedOutcomes(access, operation, owner === caller.owner)
    violations.push(...violationOf({ what: `${operation} of ${owner}'s row by ${callerName}`, access, allowed, outcome }))
  }
  return violations
}

/** How many rows a statement without a condition may touch; undefined where the rows that others made leave that open. */
const limitOf = (access: Access, there: number, owners: readonly string[]): number | undefined => {
  if (access === 'all') return there
  if (access === 'own') return there === owners.length ? 1 : undefined
  return 0
}

/** Rows that the declaration does not speak of count as well: all are seen, or none. */
const checkCount = async (subject: Subject, access: Access): Promise<readonly Violation[]> => {
  const { scene, table, caller, callerName, owners } = subject
  if (access === 'denied') return []
  const [there, seen] = [await scene.count(table), await scene.count(table, caller)]
  const expected = limitOf(access, there.rows, owners)
  if (expected === undefined || expected === seen.rows) return []
  return [`select of everything by ${callerName} is declared '${access}', but gave ${seen.rows} of ${there.rows} rows.`]
}

/** A statement without a condition asks no policy of SELECT, so that it may reach rows which one with a condition does not. */
const checkSweep = async (subject: Subject, operation: 'update' | 'delete', access: Access): Promise<readonly Violation[]> => {
  const { scene, table, caller, callerName, owners } = subject
  const outcome = await (operation === 'update' ? scene.updateAll(caller, table) : scene.deleteAll(caller, table))
  const what = `${operation} of everything by ${callerName}`
  if (access === 'denied') return violationOf({ what, access, allowed: ['denied'], outcome })
  const there = (await scene.count(table)).rows
  const limit = limitOf(access, there, owners) ?? (await scene.count(table, caller)).rows
  if (outcome.rows > limit) return [`${what} is declared '${access}', but touched ${outcome.rows} of ${there} rows.`]
  const allowed: readonly OutcomeKind[] =
    access === 'none' ? ['nothing'] : ['passed', ...(access === 'all' ? (['constraint'] as const) : [])]
  return violationOf({ what, access, allowed, outcome })
}

/** The new row counts as well as the old one. */
const checkMoves = async (subject: Subject, access: Access): Promise<readonly Violation[]> => {
  const { scene, table, caller, callerName, owners } = subject
  const violations: Violation[] = []
  const allowed = allowedMoves(access)
  for (const to of owners)
    for (const from of owners.filter((other) => other !== to)) {
      const outcome = await scene.move(caller, table, from, to)
      violations.push(
        ...violationOf({ what: `update that gives ${from}'s row to ${to} by ${callerName}`, access, allowed, outcome }),
      )
    }
  return violations
}

const checkMovesOfAll = async (subject: Subject, access: Access): Promise<readonly Violation[]> => {
  const { scene, table, caller, callerName, owners } = subject
  const violations: Violation[] = []
  for (const to of owners.filter((owner) => owner !== caller.owner)) {
    const outcome = await scene.moveAll(caller, table, to)
    const what = `update that gives everything to ${to} by ${callerName}`
    violations.push(...violationOf({ what, access, allowed: allowedMoves(access), outcome }))
  }
  return violations
}

/** Tries everything that one caller could do with one table: through the scene's door, and by SQL also what has no condition. */
export const checkTable = async (
  scene: Scene,
  declaration: AccessDeclaration,
  table: string,
  callerName: string,
  door: 'sql' | 'api' = 'sql',
): Promise<readonly Violation[]> => {
  const [declared, caller] = [declaration.tables[table], declaration.callers[callerName]]
  const wanted = declared?.access[callerName]
  if (!declared || !caller || wanted === undefined) return [`${table} says nothing of ${callerName}.`]
  if (!declared.row && !declared.find) return [`${table} needs \`row\`, or \`find\` where it is a view.`]
  const subject: Subject = { scene, table, caller, callerName, owners: declaration.owners }
  const violations: Violation[] = []
  for (const operation of operations) {
    const access = accessOf(wanted, operation)
    if (access === 'own' && caller.owner === undefined)
      violations.push(`${operation} by ${callerName} is declared 'own', but ${callerName} owns nothing.`)
    else violations.push(...(await checkRows(subject, operation, access)))
  }
  violations.push(...(await checkCount(subject, accessOf(wanted, 'select'))))
  const update = accessOf(wanted, 'update')
  const isOwned = ownerColumnsOf(declared).length > 0
  if (isOwned) violations.push(...(await checkMoves(subject, update)))
  else if (update === 'own')
    violations.push(`update by ${callerName} is declared 'own': name the columns of the owner in \`owner\`.`)
  if (door === 'api') return violations
  if (isOwned) violations.push(...(await checkMovesOfAll(subject, update)))
  for (const operation of ['update', 'delete'] as const)
    violations.push(...(await checkSweep(subject, operation, accessOf(wanted, operation))))
  return violations
}
