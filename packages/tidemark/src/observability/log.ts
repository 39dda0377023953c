import pc from 'picocolors'
import { type DestinationStream, destination as openDestination, type Logger as Pino, pino } from 'pino'
import { maskSecrets } from '../secrets.js'
import type { LogFields, Logger } from './observability.js'
import { prettyLine } from './pretty-line.js'
import { redactFields } from './redact.js'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LogOptions {
  /** The least grave level that is written. Default `info`. */
  readonly level?: LogLevel
  /** One short line for a person instead of one JSON object. Default false. */
  readonly pretty?: boolean
  /** Colours in pretty lines. Default: where standard error is a terminal and NO_COLOR is not set. */
  readonly colours?: boolean
  /** Where lines go. Default: standard error, written before the call returns; standard output belongs to data. */
  readonly destination?: { write(line: string): unknown }
}

const standardError = (): DestinationStream => openDestination({ fd: 2, sync: true })

const streamOf = ({ pretty = false, colours, destination }: LogOptions): DestinationStream => {
  const target = destination ?? standardError()
  if (!pretty) return { write: (line) => void target.write(line) }
  const painted = pc.createColors(colours ?? (pc.isColorSupported && process.stderr.isTTY === true))
  return { write: (line) => void target.write(prettyLine(line, painted)) }
}

const wrap = (inner: Pino, component: string | undefined): Logger => {
  const writer = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: LogFields) => {
    // Masking walks the fields: not for a line that is not written.
    if (inner.isLevelEnabled(level)) inner[level](fields ? redactFields(fields) : {}, maskSecrets(message))
  }
  return {
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
    child: (name, fields = {}) => {
      const full = component === undefined ? name : `${component}.${name}`
      return wrap(inner.child({ ...redactFields(fields), component: full }), full)
    },
  }
}

/** Makes the process's logger. Every string that leaves through it is masked (SEC-2); see `redact.ts`. */
export const createLogger = (options: LogOptions = {}): Logger => {
  const inner = pino(
    {
      level: options.level ?? 'info',
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      // Errors are already plain by then; pino's own serializer would read them again.
      serializers: { err: (err: unknown) => err },
    },
    streamOf(options),
  )
  return wrap(inner, undefined)
}
