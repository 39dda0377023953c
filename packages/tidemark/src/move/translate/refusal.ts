import { UnexpectedSql } from '../../sqlite/token-cursor.js'
import type { NotCarried } from './translation.js'

/** Leaves a translation from any depth; {@link attempt} turns it into an answer. Never seen outside this folder. */
class Refusal extends Error {
  readonly suggestion: string | undefined

  constructor(reason: string, suggestion: string | undefined) {
    super(reason)
    this.suggestion = suggestion
  }
}

/** There is no Postgres SQL that surely means the same. */
export const refuse = (reason: string, suggestion?: string): never => {
  throw new Refusal(reason, suggestion)
}

/** Runs a translation; what was refused, or is no SQL that is understood, becomes the reason. */
export const attempt = <T>(run: () => T, suggestion: string): T | NotCarried => {
  try {
    return run()
  } catch (error) {
    if (error instanceof Refusal) return { reason: error.message, suggestion: error.suggestion ?? suggestion }
    if (error instanceof UnexpectedSql) return { reason: `its SQL is not understood: ${error.message}`, suggestion }
    throw error
  }
}
