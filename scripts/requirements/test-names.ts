import { parseSync } from 'vite'

/** A test, or a group of tests, and what its name and the marks within it say that it holds. */
export interface NamedTest {
  readonly name: string
  /** From the comments `@holds R134, R136` that stand in it and in no test or group within it. */
  readonly marks: readonly string[]
}

export interface NamedTests {
  readonly tests: readonly NamedTest[]
  /** The marks of a file that stand outside of any test. */
  readonly marks: readonly string[]
}

type Node = Readonly<Record<string, unknown>> & { readonly type: string; readonly start: number; readonly end: number }

const isNode = (value: unknown): value is Node => typeof (value as Node | null)?.type === 'string'

/** The words before the arguments: `it`, `skipIf` of `it.skipIf(…)(…)`. */
const wordsOf = (callee: unknown): readonly string[] => {
  if (!isNode(callee)) return []
  if (callee.type === 'Identifier') return [callee.name as string]
  if (callee.type === 'MemberExpression') return [...wordsOf(callee.object), ...wordsOf(callee.property)]
  if (callee.type === 'CallExpression') return wordsOf(callee.callee)
  if (callee.type === 'TaggedTemplateExpression') return wordsOf(callee.tag)
  return []
}

/** The text of a string, or of a template without what is filled in. */
const textOf = (node: unknown): string | undefined => {
  if (!isNode(node)) return undefined
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined
  if (node.type !== 'TemplateLiteral') return undefined
  return (node.quasis as readonly { value: { cooked: string } }[]).map(({ value }) => value.cooked).join('…')
}

const calls: ReadonlySet<string> = new Set(['describe', 'it', 'test'])
const neverRun: ReadonlySet<string> = new Set(['skip', 'todo'])

interface Found {
  readonly name: string
  readonly start: number
  readonly end: number
}

/** All tests and groups of a tree, the outer before the inner; not those that never run, nor what is within them. */
const found = (value: unknown): readonly Found[] => {
  if (Array.isArray(value)) return value.flatMap(found)
  if (!isNode(value)) return []
  const words = value.type === 'CallExpression' ? wordsOf(value.callee) : []
  const isTest = calls.has(words[0] ?? '')
  if (isTest && words.some((word) => neverRun.has(word))) return []
  const name = isTest ? textOf((value.arguments as readonly unknown[])[0]) : undefined
  const inner = Object.values(value).flatMap((part) => (typeof part === 'object' ? found(part) : []))
  return name === undefined ? inner : [{ name, start: value.start, end: value.end }, ...inner]
}

/** What a comment marks: all that stands behind `@holds` on its line. */
const marksOf = (comment: string): readonly string[] =>
  [...comment.matchAll(/@holds\s+(.+)/g)].flatMap(([, list]) => list!.trim().split(/[\s,]+/))

/**
 * The tests and groups of a source text, in order. A name that is put together at run time is known by the fixed parts of its template.
 * @throws Error where the text cannot be parsed.
 */
export const testNamesOf = (path: string, source: string): NamedTests => {
  const { program, comments, errors } = parseSync(path, source)
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]!.message}`)
  const tests = found(program.body)
  const marks = comments.flatMap(({ value, start }) => {
    const within = tests.filter((test) => test.start < start && start < test.end).at(-1)
    return marksOf(value).map((id) => ({ id, within }))
  })
  const marksWithin = (test?: Found): readonly string[] => marks.filter(({ within }) => within === test).map(({ id }) => id)
  return { tests: tests.map((test) => ({ name: test.name, marks: marksWithin(test) })), marks: marksWithin() }
}
