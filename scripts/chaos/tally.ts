/** What a storm keeps count of. */
export class Tally {
  readonly failures: string[] = []
  cutovers = 0
  rollbacks = 0
  /** Switches that were refused, by the code of the refusal. */
  readonly refusals = new Map<string, number>()
  readonly #strikes = new Map<string, Map<string, number>>()

  fail(what: string): void {
    this.failures.push(what)
  }

  strike(kind: string, phase: string): void {
    const phases = this.#strikes.get(kind) ?? new Map<string, number>()
    phases.set(phase, (phases.get(phase) ?? 0) + 1)
    this.#strikes.set(kind, phases)
  }

  refuse(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
  }

  /** How often a fault has struck. */
  count(kind: string): number {
    return [...(this.#strikes.get(kind)?.values() ?? [])].reduce((sum, n) => sum + n, 0)
  }

  /** One line for each kind. */
  lines(): readonly string[] {
    const refusals = [...this.refusals].map(([code, n]) => `${code} ${n}`)
    return [
      ...[...this.#strikes].map(([kind, phases]) => {
        const each = [...phases].map(([phase, n]) => `${phase} ${n}`).join(', ')
        return `${kind}: ${this.count(kind)} (${each})`
      }),
      ...(refusals.length > 0 ? [`switches refused: ${refusals.join(', ')}`] : []),
    ]
  }
}

export const tell = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)
