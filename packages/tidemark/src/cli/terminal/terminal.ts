import pc from 'picocolors'

/** The process as a command sees it. Tests hand in their own. */
export interface Io {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

export interface OutputFlags {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  /** `--no-color` sets it to false. */
  readonly color?: boolean
}

export type Colors = Pick<
  ReturnType<typeof pc.createColors>,
  'isColorSupported' | 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
>

/**
 * Where a command writes to. Its result goes to stdout, once: as text, or as JSON with --json.
 * All else goes to stderr, so that stdout can always be piped.
 */
export interface Terminal {
  readonly json: boolean
  readonly verbose: boolean
  readonly quiet: boolean
  /** True where stderr can be drawn over. */
  readonly live: boolean
  /** True where a person is there to answer a question. */
  readonly interactive: boolean
  /** Colours of stderr. */
  readonly colors: Colors
  readonly stderr: NodeJS.WriteStream
  result(value: unknown, text: (colors: Colors) => string): void
  note(text: string): void
  warn(text: string): void
  /** Shown with --verbose only. */
  detail(text: string): void
}

export const processIo = (): Io => ({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
})

const wantsColor = (stream: NodeJS.WriteStream, env: Io['env'], flag: boolean | undefined): boolean => {
  if (flag === false || env['NO_COLOR']) return false
  if (env['FORCE_COLOR'] && env['FORCE_COLOR'] !== '0') return true
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}

/** Counts go beyond 2^53 in a database; JSON has no other form for them than text. */
const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value)

const withEnd = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)

export const createTerminal = ({ stdin, stdout, stderr, env }: Io, flags: OutputFlags): Terminal => {
  const { json = false, quiet = false, verbose = false } = flags
  const colors = pc.createColors(wantsColor(stderr, env, flags.color))
  const say = (text: string): void => {
    stderr.write(withEnd(text))
  }
  return {
    json,
    quiet,
    verbose,
    colors,
    stderr,
    live: stderr.isTTY === true && env['TERM'] !== 'dumb' && !quiet,
    interactive: stdin.isTTY === true && stderr.isTTY === true,
    result: (value, text) => {
      const body = json ? JSON.stringify(value, plain, 2) : text(pc.createColors(wantsColor(stdout, env, flags.color)))
      if (body !== '') stdout.write(withEnd(body))
    },
    note: (text) => {
      if (!quiet) say(text)
    },
    warn: (text) => say(`${colors.yellow('!')} ${text}`),
    detail: (text) => {
      if (verbose) say(colors.dim(text))
    },
  }
}
