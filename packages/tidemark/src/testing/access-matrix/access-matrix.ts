import { checkCompleteness, checkFunctions, checkOpenings } from './check-schema.js'
import { checkTable } from './check-table.js'
import type { AccessDeclaration } from './declaration.js'
import { type AccessSession, Scene } from './scene.js'

export type { Access, AccessDeclaration, Caller, Operation, RowOf, TableAccess, Values } from './declaration.js'
export type { AccessSession } from './scene.js'

/** One requirement on a schema, to be run by any test runner. It leaves nothing behind in the database. */
export interface AccessCase {
  readonly name: string
  /** Raises an error that lists what came out otherwise than declared. */
  run(session: AccessSession): Promise<void>
}

export interface AccessMatrix {
  readonly cases: readonly AccessCase[]
  /** What it was made of. */
  readonly declaration: AccessDeclaration
}

const holds = (what: string, violations: readonly string[]): void => {
  if (violations.length > 0) throw new Error(`${what}:\n${violations.map((violation) => `- ${violation}`).join('\n')}`)
}

/**
 * Says who may do what in a schema, and makes of it tests that try it on a real Postgres, as each caller and with its claims:
 * every table, every operation, every owner's row, and every update that gives a row to another owner. What the schema holds and
 * the matrix does not name fails.
 */
export const accessMatrix = <const Owner extends string, const Name extends string>(
  declaration: AccessDeclaration<Owner, Name>,
): AccessMatrix => {
  // What the types tell apart is one thing while it runs.
  const declared = declaration as unknown as AccessDeclaration
  const schema = declared.schema ?? 'public'
  const callers = Object.keys(declared.callers)
  const whole: readonly AccessCase[] = [
    {
      name: `names every table and function of ${schema}`,
      run: async (session) => holds('The matrix and the schema differ', await checkCompleteness(session, declared)),
    },
    {
      name: `SEC-1: nothing in ${schema} is open past row-level security`,
      run: async (session) => holds('Open past row-level security', await checkOpenings(session, declared)),
    },
  ]
  const tables = Object.keys(declared.tables).flatMap((table) =>
    callers.map(
      (caller): AccessCase => ({
        name: `${table}, ${caller}`,
        run: (session) =>
          Scene.play(session, declared, async (scene) =>
            holds(`${table}, ${caller}`, await checkTable(scene, declared, table, caller)),
          ),
      }),
    ),
  )
  const functions = callers.map(
    (caller): AccessCase => ({
      name: `functions, ${caller}`,
      run: async (session) => holds(`functions, ${caller}`, await checkFunctions(session, declared, caller)),
    }),
  )
  return { cases: [...whole, ...tables, ...functions], declaration: declared }
}
