import { z } from 'zod'
import { parseDuration } from '../../time/durations.js'
import { splitRedisUrls } from '../redis-urls.js'

/** How one sort of value is read and checked. */
export interface Kind<T> {
  readonly schema: z.ZodType<T>
  /** Text (environment, flag, or a string in a file) as what the schema checks; undefined where it cannot be read as that. */
  readonly fromText: (text: string) => unknown
  /** Ends the sentence "Give it …". */
  readonly expected: string
  /** What `--help` shows in angle brackets; absent for switches. */
  readonly argument?: string
  /** The value is a URL and may carry a password. */
  readonly url?: true
}

const asIs = (text: string): string => text

interface TextOptions {
  readonly expected: string
  readonly pattern?: RegExp
  readonly reason?: string
  readonly argument?: string
}

export const text = ({
  expected,
  pattern,
  reason = 'it does not have that form',
  argument = 'text',
}: TextOptions): Kind<string> => ({
  schema: z
    .string({ error: 'it is not text' })
    .min(1, { error: 'it is empty' })
    .refine((value) => !/\p{Surrogate}/u.test(value), { error: 'it is not well-formed text' })
    .refine((value) => pattern?.test(value) ?? true, { error: reason }),
  fromText: asIs,
  expected,
  argument,
})

/** A host name, an IPv4 or an IPv6 address; nothing that would mean something else inside a URL. */
export const host: Kind<string> = text({
  pattern: /^[^\s/@?#\\]+$/,
  reason: 'it holds a character that no host name has',
  expected: 'a host name or an address',
  argument: 'host',
})

const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',')

const range = (what: string, min: number, max: number): string =>
  max === Number.MAX_SAFE_INTEGER ? `${what} of at least ${grouped(min)}` : `${what} from ${grouped(min)} to ${grouped(max)}`

const wholeNumber = (min: number, max: number) =>
  z
    .number({ error: 'it is not a number' })
    .int({ error: 'it is not a whole number' })
    .min(min, { error: `it is below ${grouped(min)}` })
    .max(max, { error: `it is above ${grouped(max)}` })

export const integer = (min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> => ({
  schema: wholeNumber(min, max),
  fromText: (value) => (/^[+-]?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined),
  expected: range('a whole number', min, max),
  argument: 'number',
})

export const durationMs = (min: number, max: number = 7 * 86_400_000): Kind<number> => ({
  schema: wholeNumber(min, max),
  fromText: parseDuration,
  expected: `${range('a duration', min, max)} ms, such as 500, 500ms, 30s or 5m`,
  argument: 'duration',
})

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
}

const parseBytes = (value: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*(b|[kmg]i?b)?$/i.exec(value)
  return match ? Number(match[1]) * (byteUnits[(match[2] ?? '').toUpperCase()] ?? Number.NaN) : undefined
}

export const bytes = (min: number, max: number): Kind<number> => ({
  schema: wholeNumber(min, max),
  fromText: parseBytes,
  expected: `${range('a number of bytes', min, max)}, such as 8388608 or 8MiB`,
  argument: 'bytes',
})

const switches: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

export const boolean: Kind<boolean> = {
  schema: z.boolean({ error: 'it is neither true nor false' }),
  fromText: (value) => switches[value.toLowerCase()],
  expected: 'true or false (also yes, no, on, off, 1, 0)',
}

/** One of a few words, in any case; `aliases` are other spellings of them. */
export const oneOf = <const V extends string>(
  values: readonly V[],
  aliases: Readonly<Record<string, NoInfer<V>>> = {},
): Kind<V> => {
  const read = (value: string): string => aliases[value.toLowerCase()] ?? value.toLowerCase()
  return {
    schema: z.enum(values, { error: `it is none of ${values.join(', ')}` }),
    fromText: read,
    expected: `one of ${values.join(', ')}`,
    argument: values.length > 5 ? 'name' : values.join('|'),
  }
}

export const names: Kind<readonly string[]> = {
  schema: z
    .array(
      z
        .string({ error: 'a name in it is not text' })
        .regex(/^[a-z][a-z0-9-]*$/, { error: 'a name in it is not lower-case letters' }),
      {
        error: 'it is not a list',
      },
    )
    .min(1, { error: 'it is empty' }),
  fromText: (value) =>
    value
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  expected: 'names in lower case, separated by commas',
  argument: 'names',
}

/** As it stands in a URL, and in psql without quotes. */
export const databaseName: Kind<string> = text({
  pattern: /^[a-z_][a-z0-9_]{0,62}$/,
  reason: 'it is not lower-case letters, digits and underscores',
  expected: 'a name of lower-case letters, digits and underscores',
  argument: 'name',
})

/** Perhaps none. */
export const databaseNames: Kind<readonly string[]> = {
  schema: z.array(databaseName.schema, { error: 'it is not a list' }),
  fromText: names.fromText,
  expected: 'names of databases, separated by commas',
  argument: 'names',
}

/** Schemas of a database, in the order in which they are given; perhaps none. */
export const schemaNames: Kind<readonly string[]> = {
  schema: z
    .array(
      z
        .string({ error: 'a name in it is not text' })
        .min(1, { error: 'a name in it is empty' })
        .max(63, { error: 'a name in it is longer than 63 characters' })
        .refine((name) => !/[\0,]/.test(name), { error: 'a name in it holds a comma' }),
      { error: 'it is not a list' },
    )
    .refine((names) => new Set(names).size === names.length, { error: 'a name is in it twice' }),
  fromText: (value) =>
    value
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  expected: 'names of schemas, separated by commas',
  argument: 'schemas',
}

/** At least one. */
export const someSchemaNames: Kind<readonly string[]> = {
  ...schemaNames,
  schema: schemaNames.schema.refine((names) => names.length > 0, { error: 'it is empty' }),
}

/** Paths, none of them empty. */
export const paths: Kind<readonly string[]> = {
  schema: z.array(z.string({ error: 'a path in it is not text' }).min(1, { error: 'a path in it is empty' }), {
    error: 'it is not a list',
  }),
  fromText: (value) =>
    value
      .split(',')
      .map((path) => path.trim())
      .filter((path) => path !== ''),
  expected: 'paths of folders, separated by commas',
  argument: 'folders',
}

/** What stands between commas. */
export const separated = (value: string): readonly string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

export const secrets: Kind<readonly string[]> = {
  schema: z.array(z.string({ error: 'a secret in it is not text' }).min(1, { error: 'a secret in it is empty' }), {
    error: 'it is not a list',
  }),
  fromText: separated,
  expected: 'secrets separated by commas',
  argument: 'secrets',
}

/** Tables as `schema.table`; without a schema, of the schema public. */
export const tableNames: Kind<readonly string[]> = {
  schema: z.array(
    z.string({ error: 'a name in it is not text' }).regex(/^[^.,\s]+\.[^.,]+$/, { error: 'a name in it is not schema.table' }),
    { error: 'it is not a list' },
  ),
  fromText: (value) =>
    value
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
      .map((name) => (name.includes('.') ? name : `public.${name}`)),
  expected: 'tables as schema.table, separated by commas',
  argument: 'tables',
}

/** Tables by their name, or as `schema.table`, kept as they are given. */
export const relationNames: Kind<readonly string[]> = {
  schema: z.array(
    z
      .string({ error: 'a name in it is not text' })
      .regex(/^[^.,\s]+(?:\.[^.,\s]+)?$/, { error: 'a name in it is not that of a table' }),
    { error: 'it is not a list' },
  ),
  fromText: (value) =>
    value
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  expected: 'tables, with or without their schema, separated by commas',
  argument: 'tables',
}

const parsedUrl = (value: string): URL | undefined => (URL.canParse(value) ? new URL(value) : undefined)

const url = (
  protocols: readonly string[],
  expected: string,
  check: (parsed: URL) => string | undefined = () => undefined,
): Kind<string> => ({
  schema: z.string({ error: 'it is not text' }).superRefine((value, context) => {
    const parsed = parsedUrl(value)
    const reason = /\[[A-Z_]+\]/.test(value)
      ? 'it still holds a placeholder in square brackets'
      : parsed === undefined
        ? 'it is not a URL (signs such as @ : / # in a password are written as %40 %3A %2F %23)'
        : protocols.includes(parsed.protocol)
          ? check(parsed)
          : `it does not begin with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`
    if (reason !== undefined) context.addIssue({ code: 'custom', message: reason })
  }),
  fromText: asIs,
  expected,
  argument: 'url',
  url: true,
})

export const postgresUrl = url(
  ['postgresql:', 'postgres:'],
  'a URL such as postgresql://user@host:5432/database, with :password after the user',
  (parsed) => (parsed.hostname === '' && !parsed.searchParams.has('host') ? 'it names no host' : undefined),
)

const oneRedisUrl = url(
  ['redis:', 'rediss:'],
  'a URL such as redis://host:6379, with :password@ before the host, or rediss:// for TLS; of a cluster several, separated by commas',
  (parsed) => (parsed.hostname === '' ? 'it names no host' : undefined),
)

/** Of a cluster several: where a comma and another scheme follow. */
export const redisUrl: Kind<string> = {
  ...oneRedisUrl,
  schema: z.string({ error: 'it is not text' }).superRefine((value, context) => {
    for (const each of splitRedisUrls(value)) {
      const checked = oneRedisUrl.schema.safeParse(each)
      if (!checked.success) return void context.addIssue({ code: 'custom', message: checked.error.issues[0]!.message })
    }
  }),
}

export const httpUrl = url(['https:', 'http:'], 'a URL such as https://name.example.com')
