import { TidemarkError } from '../../errors.js'
import { parseDuration } from '../../time/durations.js'
import type { EntryOptions } from '../cache.js'

const mebibyte = 1024 * 1024

/** The options of an entry with their defaults; durations in milliseconds. */
export interface ResolvedOptions {
  readonly ttlMs: number
  readonly staleIfErrorForMs: number
  readonly staleWhileRevalidateMs: number
  readonly negativeTtlMs: number
  readonly softTimeoutMs: number
  readonly hardTimeoutMs: number
  readonly maxBytes: number
  readonly maxEntries: number
  readonly maxValueBytes: number
  readonly eviction: 'sieve' | 'lru' | 'lfu'
  readonly linearizable: boolean
  readonly encrypted: boolean
  readonly memoryOnly: boolean
}

/** Raises TM_CACHE_OPTION. */
export const resolveOptions = <P, V>(template: string, options: EntryOptions<P, V>): ResolvedOptions => {
  const refuse = (option: string, value: unknown, expected: string): never => {
    throw new TidemarkError('TM_CACHE_OPTION', { template, option, value: String(value), expected })
  }
  const duration = (option: keyof EntryOptions<P, V>, preset: number | string): number => {
    const given = (options[option] ?? preset) as number | string
    const ms = typeof given === 'number' ? given : parseDuration(given)
    return ms !== undefined && ms >= 0 && !Number.isNaN(ms) ? ms : refuse(option, given, 'milliseconds, or text such as "15m"')
  }
  const whole = (option: 'maxBytes' | 'maxEntries' | 'maxValueBytes', preset: number): number => {
    const given = options[option] ?? preset
    return (Number.isSafeInteger(given) || given === preset) && given >= 0 ? given : refuse(option, given, 'a whole number')
  }
  const ttlMs = duration('ttl', Number.NaN)
  if (ttlMs === 0) refuse('ttl', options.ttl, 'more than 0')
  if (typeof options.load !== 'function') refuse('load', typeof options.load, 'a function')
  const { eviction = 'sieve' } = options
  if (!['sieve', 'lru', 'lfu'].includes(eviction)) refuse('eviction', eviction, 'sieve, lru or lfu')
  const maxBytes = whole('maxBytes', 16 * mebibyte)
  return {
    ttlMs,
    maxBytes,
    maxEntries: whole('maxEntries', Number.POSITIVE_INFINITY),
    maxValueBytes: whole('maxValueBytes', Math.min(8 * mebibyte, maxBytes > 0 ? Math.ceil(maxBytes / 8) : 8 * mebibyte)),
    staleIfErrorForMs: duration('staleIfErrorFor', 0),
    staleWhileRevalidateMs: duration('staleWhileRevalidate', 0),
    negativeTtlMs: duration('negativeTtl', ttlMs),
    softTimeoutMs: duration('softTimeout', Number.POSITIVE_INFINITY),
    hardTimeoutMs: duration('hardTimeout', '10s'),
    eviction,
    linearizable: options.linearizable ?? false,
    encrypted: options.encrypted ?? false,
    memoryOnly: options.memoryOnly ?? false,
  }
}
