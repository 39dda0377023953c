import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../scripts/repository.ts'

export interface StartCommand {
  /** For Node itself. */
  readonly args: readonly string[]
  /** As it stands in package.json. */
  readonly text: string
}

/** What `npm start` is before it is in package.json. */
const preset = 'node packages/tidemark/bin/tidemark.js dev --sample samples/northwind.db'

const isPath = (arg: string): boolean => arg.includes('/') && !arg.startsWith('-')

/** A script of the form `node <file> <arguments>`, with its paths made absolute, so that it can run in another folder. */
export const parseStartScript = (script: string): StartCommand => {
  const [program, ...args] = script.split(/\s+/)
  if (program !== 'node' || args.length === 0 || /[;&|<>$`"'\\]/.test(script)) {
    throw new Error(`the script "start" is not a plain call of node: ${script}`)
  }
  return { text: script, args: args.map((arg) => (isPath(arg) ? join(root, arg) : arg)) }
}

/** The command behind `npm start`. */
export const readStartCommand = (): StartCommand => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts?: Record<string, string> }
  return parseStartScript(scripts?.['start'] ?? preset)
}
