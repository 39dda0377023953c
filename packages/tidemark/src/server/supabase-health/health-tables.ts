/** A table of the health check: the name that was configured, and where that is. */
export interface HealthTable {
  readonly name: string
  readonly schema: string
  readonly table: string
}

/** Names without a schema are in the schema of the agents' tables. */
export const healthTables = (names: readonly string[], defaultSchema: string): readonly HealthTable[] =>
  names.map((name) => {
    const dot = name.indexOf('.')
    return dot < 0
      ? { name, schema: defaultSchema, table: name }
      : { name, schema: name.slice(0, dot), table: name.slice(dot + 1) }
  })

/** What a look at the tables found. */
export interface Probe {
  /** False where nothing answers at all, or nothing may be asked. */
  readonly reachable: boolean
  /** By the name that was configured. */
  readonly accessible: Readonly<Record<string, boolean>>
}

export const accessibleOf = (tables: readonly HealthTable[], found: readonly boolean[]): Probe['accessible'] =>
  Object.fromEntries(tables.map(({ name }, index) => [name, found[index] ?? false]))
