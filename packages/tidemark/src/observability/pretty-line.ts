import type pc from 'picocolors'

/** Colours on or off, as picocolors makes them. */
export type Colours = ReturnType<typeof pc.createColors>

const plainText = /^[\w.:/@%+-]+$/

const show = (value: unknown): string => {
  if (typeof value === 'string') return plainText.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? ''
}

const pad = (count: number, width = 2): string => String(count).padStart(width, '0')

const timeOf = (ms: number): string => {
  const date = new Date(ms)
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`
}

const paint = (level: string, colours: Colours): string => {
  const padded = level.padEnd(5)
  if (level === 'error') return colours.red(padded)
  if (level === 'warn') return colours.yellow(padded)
  return level === 'info' ? colours.green(padded) : colours.dim(padded)
}

interface ErrorFields {
  readonly message?: unknown
  readonly stack?: unknown
  readonly code?: unknown
}

const errorTail = (err: unknown, level: string, colours: Colours): string => {
  if (typeof err !== 'object' || err === null) return err === undefined ? '' : ` err=${show(err)}`
  const { message, stack, code } = err as ErrorFields
  const name = typeof code === 'string' ? `${code} ` : ''
  const trace = level === 'error' && typeof stack === 'string' ? `\n${colours.dim(stack.split('\n').slice(1).join('\n'))}` : ''
  return ` ${colours.red(`${name}${String(message ?? '')}`)}${trace}`
}

/** One JSON log line as a person reads it: `12:03:04.512 warn  redis  connection lost target=redis://h:6379`. */
export const prettyLine = (line: string, colours: Colours): string => {
  const { level, time, component, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  const name = String(level)
  const where = component === undefined ? '' : ` ${colours.cyan(String(component))}`
  const rest = Object.entries(fields).map(([key, value]) => ` ${colours.dim(`${key}=`)}${show(value)}`)
  const head = `${colours.dim(timeOf(Number(time)))} ${paint(name, colours)}${where}`
  return `${head} ${String(msg ?? '')}${rest.join('')}${errorTail(err, name, colours)}\n`
}
