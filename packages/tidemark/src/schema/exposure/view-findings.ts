import type { ExposureFacts, RelationFact } from './exposure-facts.js'
import type { NamedFinding } from './find-exposure.js'
import { doingsOf, rolesThatTouch } from './table-findings.js'
import { joined } from './words.js'

/** What a view reads with rights that are not the caller's. */
interface Reach {
  /** The view, itself or below, that takes the rights of its owner. */
  readonly through: RelationFact
  /** Tables below that view. */
  readonly tables: readonly RelationFact[]
}

class Graph {
  readonly #relations: ReadonlyMap<string, RelationFact>
  readonly #edges: ReadonlyMap<string, readonly string[]>

  constructor({ relations, edges }: ExposureFacts) {
    this.#relations = new Map(relations.map((relation) => [relation.id, relation]))
    const uses = new Map<string, string[]>()
    for (const edge of edges) uses.set(edge.view, [...(uses.get(edge.view) ?? []), edge.uses])
    this.#edges = uses
  }

  #below(id: string): readonly RelationFact[] {
    return (this.#edges.get(id) ?? []).flatMap((used) => this.#relations.get(used) ?? [])
  }

  /** Every table that is read in the end. */
  tables(id: string): readonly RelationFact[] {
    const all = this.#below(id).flatMap((relation) =>
      relation.kind === 'v' || relation.kind === 'm' ? this.tables(relation.id) : relation.kind === 'S' ? [] : [relation],
    )
    return [...new Map(all.map((relation) => [relation.id, relation])).values()]
  }

  /** The first on the way down that does not read as its caller. A view that does asks the ones below it as the caller too. */
  reach(view: RelationFact): Reach | undefined {
    if (view.kind === 'm' || !view.invoker) return { through: view, tables: this.tables(view.id) }
    for (const below of this.#below(view.id)) {
      const reached = below.kind === 'v' || below.kind === 'm' ? this.reach(below) : undefined
      if (reached && reached.tables.length > 0) return reached
    }
    return undefined
  }
}

const objectsOf = (relations: readonly RelationFact[]): string => joined(relations.map(({ object }) => object))

const viewFinding = (view: RelationFact, { through, tables }: Reach, roles: readonly string[]): NamedFinding => {
  const closed = tables.filter(({ rowSecurity }) => rowSecurity)
  const which = through === view ? 'It reads' : `It reads ${through.object}, which reads`
  const fix =
    through.kind === 'm'
      ? `revoke all on ${view.object} from public, ${roles.join(', ')};`
      : `alter view ${through.object} set (security_invoker = true);`
  const found = { code: 'viewWithoutInvoker', object: view.object, name: view.name, roles, fix } as const
  if (closed.length > 0)
    return {
      ...found,
      level: 'error',
      why: `${which} with the rights of its owner, so the row-level security of ${objectsOf(closed)} does not hold: ${joined(roles)} may ${doingsOf(view)} every row.`,
    }
  return {
    ...found,
    level: 'warning',
    why: `${which} ${objectsOf(tables)} with the rights of its owner: grants and policies of the tables do not count for ${joined(roles)}.`,
  }
}

const materializedFinding = (view: RelationFact, tables: readonly RelationFact[], roles: readonly string[]): NamedFinding => {
  const closed = tables.filter(({ rowSecurity }) => rowSecurity)
  return {
    level: closed.length > 0 ? 'error' : 'warning',
    code: 'materializedView',
    object: view.object,
    name: view.name,
    roles,
    why:
      `${joined(roles)} may read every row of a materialized view, which cannot have row-level security` +
      `${closed.length > 0 ? `, with what ${objectsOf(closed)} ${closed.length === 1 ? 'keeps' : 'keep'} from them` : ''}.`,
    fix: `revoke all on ${view.object} from public, ${roles.join(', ')};`,
  }
}

/** What is wrong with the views of the exposed schemas. */
export const viewFindings = (facts: ExposureFacts): readonly NamedFinding[] => {
  const graph = new Graph(facts)
  return facts.relations
    .filter(({ exposed, kind }) => exposed && (kind === 'v' || kind === 'm'))
    .flatMap((view) => {
      const roles = rolesThatTouch(view)
      if (roles.length === 0) return []
      if (view.kind === 'm') return [materializedFinding(view, graph.tables(view.id), roles)]
      const reach = graph.reach(view)
      return reach && reach.tables.length > 0 ? [viewFinding(view, reach, roles)] : []
    })
}
