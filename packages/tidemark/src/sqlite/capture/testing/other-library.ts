/** Programs that write to a SQLite file through libraries other than ours. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { differentialTables, maxRows } from './differential.js'
import type { RandomSchema } from './random-schema.js'

export const hasProgram = (name: string): boolean => spawnSync(name, ['--version']).status === 0

export interface Answer {
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

const answer = async (command: string, args: readonly string[], input: string): Promise<Answer> => {
  const child = spawn(command, args, { stdio: 'pipe' })
  let [output, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.stdin.end(input)
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, output: output.trim(), errors: errors.trim() }
}

/** SQL through the sqlite3 program, which goes on after an error. */
export const runCli = (path: string, sql: string): Promise<Answer> => answer('sqlite3', [path], sql)

export interface PythonRun {
  readonly path: string
  readonly sql: readonly string[]
}

/** Statements through Python's module, each by itself: what each answered, or its error. All runs by one interpreter, each over a connection of its own. */
export const runPython = async (runs: readonly PythonRun[]): Promise<readonly (readonly string[])[]> => {
  const program = `import json, sqlite3, sys
def run(path, statements):
    db = sqlite3.connect(path, isolation_level=None, timeout=5)
    outcomes = []
    for sql in statements:
        try: outcomes.append(json.dumps(db.execute(sql).fetchall()))
        except sqlite3.Error as error: outcomes.append(f"{type(error).__name__}: {error}")
    db.close()
    return outcomes
print(json.dumps([run(one["path"], one["sql"]) for one in json.load(sys.stdin)]))`
  const { status, output, errors } = await answer('python3', ['-c', program], JSON.stringify(runs))
  if (status !== 0) throw new Error(errors)
  return JSON.parse(output)
}

export interface PythonCase {
  readonly schema: RandomSchema
  readonly captured: string
  readonly twin: string
  readonly journal: 'DELETE' | 'WAL'
  readonly steps: readonly (readonly string[])[]
}

/** The differential run of this folder, with Python in the place of the application. */
export const runPythonDifferential = async ({
  schema,
  ...given
}: PythonCase): Promise<{ statements: number; failures: string[] }> => {
  const script = fileURLToPath(new URL('differential.py', import.meta.url))
  const input = JSON.stringify({
    ...given,
    pragmas: schema.pragmas,
    tables: differentialTables(schema),
    maxRows,
    hasClauses: /ON CONFLICT/.test(schema.sql.join()),
  })
  const { status, output, errors } = await answer('python3', [script], input)
  if (status !== 0) throw new Error(errors)
  return JSON.parse(output)
}
