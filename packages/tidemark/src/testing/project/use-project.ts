/** A project of a test file: a folder, a server in it, and commands, as somebody has them who installed the package. */
import { afterAll, beforeAll } from 'vitest'
import { runCli } from './cli-call.js'
import { type CliProcess, startCli, untilServing } from './cli-process.js'
import { createPreparedProject } from './prepared-project.js'

/** What a command printed with `--json`. */
export interface Printed<T> {
  readonly exitCode: number
  readonly stderr: string
  readonly data: T
}

export interface TestProject {
  readonly dir: string
  /** The one that was started last. */
  readonly server: CliProcess
  /** Starts the server by `start` or another command, on a port of its own, and gives its address. */
  serve(args?: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>
  /** Ends the server. */
  end(): Promise<void>
  json<T>(...args: readonly string[]): Promise<Printed<T>>
  /** What a command printed that has to succeed. */
  run<T>(...args: readonly string[]): Promise<T>
}

/** There while the tests run. When the last has ended the server is ended and the folder removed. */
export const useProject = (): TestProject => {
  let folder: Awaited<ReturnType<typeof createPreparedProject>> | undefined
  let server: CliProcess | undefined
  const end = async (): Promise<void> => {
    server?.child.kill('SIGTERM')
    await server?.ended
  }
  const json: TestProject['json'] = async (...args) => {
    const { exitCode, stdout, stderr } = await runCli([...args, '--json'], { cwd: folder!.dir })
    if (stdout === '') throw new Error(`tidemark ${args.join(' ')} ended with ${exitCode} and printed nothing: ${stderr}`)
    return { exitCode, stderr, data: JSON.parse(stdout) }
  }
  beforeAll(async () => {
    folder = await createPreparedProject()
  })
  afterAll(async () => {
    await end()
    await folder?.remove()
  })
  return {
    get dir() {
      return folder!.dir
    },
    get server() {
      return server!
    },
    serve: (args = ['start'], env = {}) => {
      server = startCli([...args, '--json'], { cwd: folder!.dir, env: { PORT: '0', ...env } })
      return untilServing(server)
    },
    end,
    json,
    run: async <T>(...args: readonly string[]) => {
      const { exitCode, stderr, data } = await json<T>(...args, '--verbose')
      if (exitCode !== 0) throw new Error(`tidemark ${args.join(' ')} ended with ${exitCode}: ${JSON.stringify(data)}${stderr}`)
      return data
    },
  }
}
