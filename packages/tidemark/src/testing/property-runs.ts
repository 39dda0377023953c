export interface PropertyRuns {
  readonly numRuns: number
  readonly seed?: number
  readonly interruptAfterTimeLimit?: number
}

/** How often a property runs, and from which seed; TIDEMARK_TEST_RUNS and TIDEMARK_TEST_SEED go before. `msPerRun` bounds the whole. */
export const propertyRuns = (count: number, msPerRun?: number): PropertyRuns => {
  const numRuns = Number(process.env['TIDEMARK_TEST_RUNS'] ?? count)
  const seed = process.env['TIDEMARK_TEST_SEED']
  return {
    numRuns,
    ...(seed && { seed: Number(seed) }),
    ...(msPerRun !== undefined && { interruptAfterTimeLimit: numRuns * msPerRun }),
  }
}
