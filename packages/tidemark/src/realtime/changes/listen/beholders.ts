import type { Caller } from '../../../auth/caller.js'
import type { Beholder } from '../visibility-port.js'

/** JSON with the keys of every object in order: equal claims are equal texts. */
const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  members.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
}

/** Callers by what visibility tells them apart by; each object stands for as long as anybody listens as this caller. */
export class Beholders {
  readonly #known = new Map<string, { readonly beholder: Beholder; users: number }>()

  take({ role, claims }: Caller): Beholder {
    const text = canonicalJson(claims)
    const key = JSON.stringify([role, text])
    const known = this.#known.get(key) ?? { beholder: { role, claims: text }, users: 0 }
    known.users += 1
    this.#known.set(key, known)
    return known.beholder
  }

  release({ role, claims }: Beholder): void {
    const key = JSON.stringify([role, claims])
    const known = this.#known.get(key)
    if (!known) return
    known.users -= 1
    if (known.users === 0) this.#known.delete(key)
  }
}
