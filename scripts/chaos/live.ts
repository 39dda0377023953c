/**
 * A live move under fire: a program in another language hammers the file, another one Postgres, and every process of Tidemark is killed with
 * SIGKILL at random moments, through following, cutover, mirroring and rollback, again and again:
 * `npm run chaos:move -- --minutes 10 --seed 1` (or `--kills 200`). Ends with a verdict; the exit status is 0 only if nothing was lost, nothing
 * doubled and both sides are equal.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Sqlite from 'better-sqlite3'
import { differences, ledgerOf } from './compare.ts'
import { type PostgresWriter, startPostgresWriter } from './postgres-writer.ts'
import { between, type Dice, diceOf } from './random.ts'

const executable = fileURLToPath(new URL('../../packages/tidemark/bin/tidemark.js', import.meta.url))
const python = fileURLToPath(new URL('sqlite-writer.py', import.meta.url))
const fileName = 'chaos.db'

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

const launch = (cwd: string, command: string, args: readonly string[]): Started => {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = `${stderr}${text}`.slice(-4000)
  })
  // What a killed process has started may outlive it and hold its pipes open, so that they never close.
  const ended = once(child, 'exit').then(async ([code, signal]) => {
    if (signal === null && child.stdout.readable) await Promise.race([once(child, 'close'), pause(2000)])
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr }
  })
  return { child, ended }
}

const tidemark = (cwd: string, ...args: readonly string[]): Started =>
  launch(cwd, process.execPath, [executable, ...args, '--json'])

interface Status {
  readonly state: string
}

const tell = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`)

/** What the storm keeps count of. */
class Chaos {
  kills = 0
  cutovers = 0
  rollbacks = 0
  readonly failures: string[] = []
  readonly #killsByPhase = new Map<string, number>()
  readonly #cwd: string
  readonly #dice: Dice
  readonly path: string
  #server: Started | undefined
  #url = ''

  constructor(cwd: string, dice: Dice) {
    this.#cwd = cwd
    this.#dice = dice
    this.path = join(cwd, fileName)
  }

  get killsByPhase(): string {
    return [...this.#killsByPhase].map(([phase, n]) => `${phase} ${n}`).join(', ')
  }

  run(...args: readonly string[]): Promise<Ended> {
    return tidemark(this.#cwd, ...args).ended
  }

  async must(...args: readonly string[]): Promise<Ended> {
    const ended = await this.run(...args)
    if (ended.code !== 0)
      throw new Error(`tidemark ${args.join(' ')} ended with ${ended.code}: ${ended.stdout.slice(0, 1500)} ${ended.stderr}`)
    return ended
  }

  async startServer(): Promise<void> {
    this.#server = tidemark(this.#cwd, 'start', '--port', '0')
    const until = Date.now() + 60_000
    for (;;) {
      const { code, stdout } = await this.run('db', 'url')
      if (code === 0) {
        this.#url = (JSON.parse(stdout) as { url: string }).url
        return
      }
      if (Date.now() > until) throw new Error(`Postgres did not come up: ${stdout}`)
      await pause(200)
    }
  }

  readonly url = async (): Promise<string> => this.#url

  async stopServer(): Promise<void> {
    this.#server?.child.kill('SIGTERM')
    await this.#server?.ended
  }

  #count(phase: string): void {
    this.kills++
    this.#killsByPhase.set(phase, (this.#killsByPhase.get(phase) ?? 0) + 1)
  }

  async kill(phase: string, started: Started): Promise<void> {
    started.child.kill('SIGKILL')
    const { signal } = await started.ended
    if (signal === 'SIGKILL') this.#count(phase)
  }

  /** The server dies with everything it holds; Postgres is an orphan until the next command takes it over. */
  async killServer(phase: string): Promise<void> {
    await this.kill(`${phase} (server)`, this.#server!)
    await this.startServer()
  }

  async status(): Promise<Status | undefined> {
    const { code, stdout } = await this.run('move', 'status', fileName)
    return code === 0 ? (JSON.parse(stdout) as { moves: Status[] }).moves[0] : undefined
  }

  /** Keeps a conductor running, killing it and starting it again, for `rounds` kills. */
  async harass(phase: string, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const conductor = tidemark(this.#cwd, 'move', fileName)
      const outcome = await Promise.race([conductor.ended, pause(between(this.#dice, 100, 3500))])
      if (outcome)
        this.failures.push(
          `${phase}: the conductor ended by itself with ${outcome.code}: ${outcome.stdout.slice(0, 500)} ${outcome.stderr}`,
        )
      else if (this.#dice() < 0.05) await Promise.all([this.kill(phase, conductor), this.killServer(phase)])
      else await this.kill(phase, conductor)
    }
  }

  /** Repeats a switch, killing it at random moments, until the state says that it has happened. */
  async switchUnderFire(verb: 'cutover' | 'rollback', goal: string, kills: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const command = tidemark(
        this.#cwd,
        'move',
        verb,
        fileName,
        ...(verb === 'cutover' ? ['--no-mirror'] : []),
        '--max-pause',
        '20s',
      )
      const lethal = attempt < kills
      const outcome = await Promise.race([command.ended, ...(lethal ? [pause(between(this.#dice, 300, 2500))] : [])])
      if (!outcome) await this.kill(verb, command)
      const state = (await this.status())?.state
      if (state === goal) return
      if (outcome && outcome.code !== 0) tell(`  ${verb} was refused: ${outcome.stdout.slice(0, 300).replaceAll(/\s+/g, ' ')}`)
      if (attempt > kills + 15) throw new Error(`${verb} does not get through: ${JSON.stringify(outcome)}; the state is ${state}`)
      // A gate that is not ready yet is made ready by following.
      if (state === 'following' || state === 'mirroring') await this.must('move', fileName, '--until-ready')
    }
  }
}

class SqliteWriter {
  readonly accepted = new Set<number>()
  readonly name: string
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor(path: string, name: string, seed: number, rebuilds: boolean) {
    this.name = name
    const args = [python, path, '--writer', name, '--seed', String(seed), ...(rebuilds ? ['--rebuilds'] : [])]
    this.#child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    let rest = ''
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.accepted.add(Number(line))
    })
    this.#ended = once(this.#child, 'close')
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#ended
  }
}

/** Every accepted write is there once; what is there besides is a write whose answer never came. */
const checkLedger = (chaos: Chaos, writer: string, accepted: ReadonlySet<number>, unknown: ReadonlySet<number>): void => {
  const kept = ledgerOf(chaos.path, writer)
  const lost = [...accepted].filter((n) => !kept.has(n))
  const doubled = [...kept].filter(([, times]) => times > 1)
  const invented = [...kept.keys()].filter((n) => !accepted.has(n) && !unknown.has(n))
  if (lost.length > 0) chaos.failures.push(`${lost.length} accepted writes of ${writer} are lost: ${lost.slice(0, 5).join(', ')}`)
  if (doubled.length > 0) chaos.failures.push(`${doubled.length} writes of ${writer} are there twice`)
  if (invented.length > 0)
    chaos.failures.push(`${invented.length} writes of ${writer} were never accepted: ${invented.slice(0, 5).join(', ')}`)
}

const checkEqual = async (chaos: Chaos, when: string): Promise<void> => {
  const found = await differences(chaos.path, await chaos.url())
  if (found.length > 0) chaos.failures.push(`${when}: ${found.length} rows differ:\n    ${found.slice(0, 10).join('\n    ')}`)
}

interface Round {
  readonly number: number
  readonly dice: Dice
}

/** There and back once. */
const journey = async (chaos: Chaos, { number, dice }: Round): Promise<void> => {
  const forward = new SqliteWriter(chaos.path, `s${number}`, between(dice, 1, 1e9), dice() < 0.5)
  await pause(500)
  await chaos.harass('following', between(dice, 4, 8))
  tell(`  ${chaos.kills} kills; making it ready`)
  await chaos.must('move', fileName, '--until-ready')
  await chaos.switchUnderFire('cutover', 'mirroring', between(dice, 1, 4))
  chaos.cutovers++
  await forward.stop()
  tell(`  cut over; ${chaos.kills} kills`)
  const backward: PostgresWriter = startPostgresWriter(chaos.url, `p${number}`, dice)
  await chaos.harass('mirroring', between(dice, 4, 8))
  await chaos.switchUnderFire('rollback', 'rolledBack', between(dice, 1, 4))
  chaos.rollbacks++
  await backward.stop()
  tell(`  rolled back; ${backward.accepted.size} writes to Postgres, ${backward.refused()} refused; ${chaos.kills} kills`)
  checkLedger(chaos, forward.name, forward.accepted, new Set([Math.max(0, ...forward.accepted) + 1]))
  checkLedger(chaos, `p${number}`, backward.accepted, backward.unknown)
  await checkEqual(chaos, `round ${number}, after the rollback`)
  if (forward.accepted.size === 0 || backward.accepted.size === 0) chaos.failures.push(`round ${number}: a writer wrote nothing`)
}

/** Nothing of ours is left in the file. */
const checkTraces = (chaos: Chaos): void => {
  const db = new Sqlite(chaos.path, { readonly: true })
  const left = db.prepare("SELECT name FROM sqlite_schema WHERE name LIKE '%tidemark%' OR sql LIKE '%tidemark%'").pluck().all()
  db.close()
  if (left.length > 0) chaos.failures.push(`left in the file: ${left.join(', ')}`)
}

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: { minutes: { type: 'string' }, kills: { type: 'string' }, seed: { type: 'string' } } })
  const [minutes, kills, seed] = [Number(values.minutes ?? 5), Number(values.kills ?? 0), Number(values.seed ?? 1)]
  const dice = diceOf(seed)
  const cwd = await mkdtemp(join(tmpdir(), 'tidemark-chaos-'))
  await chmod(cwd, 0o755)
  const chaos = new Chaos(cwd, dice)
  const until = Date.now() + minutes * 60_000
  try {
    const first = new SqliteWriter(chaos.path, 's0', seed, false)
    await pause(3000)
    await first.stop()
    await chaos.startServer()
    for (let number = 1; chaos.kills < kills || Date.now() < until; number++) {
      tell(`round ${number}`)
      await journey(chaos, { number, dice })
      if (chaos.failures.length > 0) break
    }
    await chaos.must('move', 'abort', fileName, '--yes')
    checkTraces(chaos)
  } catch (error) {
    chaos.failures.push(String(error))
  } finally {
    await chaos.stopServer()
    if (chaos.failures.length === 0) await rm(cwd, { recursive: true, force: true })
  }
  for (const failure of chaos.failures) console.log(failure)
  const what = `${chaos.kills} kills (${chaos.killsByPhase}), ${chaos.cutovers} cutovers, ${chaos.rollbacks} rollbacks, seed ${seed}`
  console.log(`${chaos.failures.length === 0 ? 'PASSED' : `FAILED (${cwd} is kept)`}: ${what}`)
  return chaos.failures.length === 0 ? 0 : 1
}

process.exitCode = await main()
