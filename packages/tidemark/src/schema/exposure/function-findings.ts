import type { ExposureFacts, FunctionFact } from './exposure-facts.js'
import type { NamedFinding } from './find-exposure.js'
import { joined } from './words.js'

const withoutSearchPath = (f: FunctionFact): readonly NamedFinding[] => {
  if (f.fixedSearchPath || (f.executableBy.length === 0 && !f.fires)) return []
  const callable = !f.trigger && f.executableBy.length > 0
  const runs = callable ? `${joined(f.executableBy)} may call it` : 'The writes of callers set it off'
  return [
    {
      level: callable ? 'error' : 'warning',
      code: 'definerWithoutSearchPath',
      object: f.object,
      name: f.name,
      roles: f.executableBy,
      why:
        `${runs}, it runs with the rights of its owner, and looks names up along the search_path of the session that calls: ` +
        'whoever sets that decides which tables and functions are meant.',
      fix: `alter routine ${f.object} set search_path = ''; -- and every name in it in full`,
    },
  ]
}

/** Callable at /rpc: it sees every row, so that it alone decides what a caller gets. */
const exposedDefiner = (f: FunctionFact): readonly NamedFinding[] => {
  if (!f.exposed || f.trigger || f.executableBy.length === 0) return []
  return [
    {
      level: 'warning',
      code: 'definerExposed',
      object: f.object,
      name: f.name,
      roles: f.executableBy,
      why:
        `${joined(f.executableBy)} may call it over REST, and it runs with the rights of its owner, whom policies do not hold: ` +
        'it has to check by itself who asks.',
      fix:
        `alter routine ${f.object} security invoker; -- or move it to a schema that is not exposed, ` +
        `or: revoke execute on routine ${f.object} from public, ${f.executableBy.join(', ')};`,
    },
  ]
}

/** What is wrong with functions that run as their owner, in any schema that people made. */
export const functionFindings = ({ functions }: ExposureFacts): readonly NamedFinding[] =>
  functions.filter(({ definer, ours }) => definer && ours).flatMap((f) => [...withoutSearchPath(f), ...exposedDefiner(f)])
