/** What becomes of the views. */
import type { SqliteSchema } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import type { ObjectDecision, TablePlan } from '../move.js'
import { isCarried, type NotCarried, type Relation, tableRelation, translateView } from '../translate/translate.js'
import { carried, notCarried, type ObjectNames, targetOf } from './decision.js'

/** Views in an order in which each finds those it reads; what is left over at the end is refused for its own reason. */
export const viewDecisions = (
  schema: SqliteSchema,
  tables: readonly TablePlan[],
  names: ObjectNames,
  targetSchema: string,
): readonly ObjectDecision[] => {
  const relations = new Map<string, Relation>(
    tables.map((table) => {
      const source = schema.tables.find(({ name }) => name === table.source)!
      return [foldAscii(table.source), tableRelation(source, table.columns, targetOf(table))]
    }),
  )
  const decisions: ObjectDecision[] = []
  let waiting = schema.views
  for (let found = true; found; ) {
    found = false
    const refused: (typeof waiting)[number][] = []
    for (const view of waiting) {
      const translation = translateView(view, {
        relations,
        view: { schema: targetSchema, name: names.peek(view.name) },
        encoding: schema.encoding,
      })
      if (!isCarried(translation)) {
        refused.push(view)
        continue
      }
      found = true
      names.take(view.name)
      relations.set(foldAscii(view.name), translation.relation)
      decisions.push(
        carried({ type: 'view', table: null, name: view.name }, translation, [translation.sql], 'afterAll', 'translated'),
      )
    }
    waiting = refused
  }
  const reasons = waiting.map((view) => {
    const translation = translateView(view, {
      relations,
      view: { schema: targetSchema, name: view.name },
      encoding: schema.encoding,
    })
    return notCarried({ type: 'view', table: null, name: view.name }, translation as NotCarried)
  })
  return [...decisions, ...reasons]
}
