import type { TidemarkConfig } from '../config/config.js'
import { createLogger, type LogLevel, type LogOptions } from '../observability/log.js'
import type { Logger } from '../observability/observability.js'

const levels: Readonly<Record<TidemarkConfig['log']['level'], LogLevel>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  fatal: 'error',
  silent: 'silent',
}

/** The logger that the configuration asks for, on stderr. */
export const defaultLogger = ({ log }: TidemarkConfig, override: LogOptions = {}): Logger =>
  createLogger({ level: levels[log.level], pretty: log.pretty ?? process.stderr.isTTY === true, ...override })
