import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/repository.ts'

export interface StartCommand {
  /** For Node itself. */
  readonly args: readonly string[]
  /** As it stands in package.json, up to the command beside it. */
  readonly text: string
}

/** What `npm start` is before it is in package.json. */
const preset = 'node packages/tidemark/bin/tidemark.js dev --sample samples/northwind.db'

const isPath = (arg: string): boolean => arg.includes('/') && !arg.startsWith('-')

/**
 * A script of the form `node <file> <arguments> -- <command>`, with its paths made absolute, so that it can run in another folder. The command that
 * it runs beside the server is left out: it belongs to this checkout, and begins once the server serves.
 */
export const parseStartScript = (script: string): StartCommand => {
  const [server = ''] = script.split(/\s--\s/)
  const [program, ...args] = server.split(/\s+/)
  if (program !== 'node' || args.length === 0 || /[;&|<>$`"'\\]/.test(script)) {
    throw new Error(`the script "start" is not a plain call of node: ${script}`)
  }
  return { text: server, args: args.map((arg) => (isPath(arg) ? join(root, arg) : arg)) }
}

/** The command behind `npm start`. */
export const readStartCommand = (): StartCommand => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts?: Record<string, string> }
  return parseStartScript(scripts?.['start'] ?? preset)
}
