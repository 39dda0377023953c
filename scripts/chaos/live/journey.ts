/** One journey there and back: following, cutover, mirroring, rollback, with something going wrong at every step. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Phase, Storm } from '../faults/fault.ts'
import { type FaultName, faultOf, type NextFault } from '../faults/faults.ts'
import { endedWithin, fileName } from '../project.ts'
import { between } from '../random.ts'
import { errorCodeOf, isRetryable, type Started, wordsOf } from '../run-command.ts'
import { tell } from '../tally.ts'
import { checkJourney } from '../verdict.ts'
import { type PostgresWriter, startPostgresWriter } from './postgres-writer.ts'
import { SqliteWriter } from './sqlite-writer.ts'

/** So long a command may take over what was done to it before that counts as hanging. */
const patienceMs = 240_000
/** How often a switch may be refused or undone, beside its kills. */
const triesMore = 15
const maxPause = ['--max-pause', '20s'] as const

export interface JourneyOptions {
  readonly number: number
  /** From this to this many things go wrong in each state. */
  readonly rounds: readonly [number, number]
  readonly next: NextFault
}

class Journey {
  readonly #storm: Storm
  readonly #options: JourneyOptions

  constructor(storm: Storm, options: JourneyOptions) {
    this.#storm = storm
    this.#options = options
  }

  async run(): Promise<void> {
    const { project, dice, tally } = this.#storm
    const { number, rounds } = this.#options
    const times = (): number => between(dice, ...rounds)
    const forward = new SqliteWriter(project, { name: `s${number}`, seed: between(dice, 1, 1e9), rebuilds: dice() < 0.5 })
    let backward: PostgresWriter | undefined
    try {
      await pause(500)
      await this.#harass('following', times())
      await project.must('move', fileName, '--until-ready')
      await this.#switchUnderFire('cutover', 'mirroring', Math.ceil(times() / 2))
      tally.cutovers++
      tell(`  cut over; ${tally.count('kill')} kills`)
      await forward.stop()
      backward = startPostgresWriter(project.url, `p${number}`, dice)
      await this.#harass('mirroring', times())
      await this.#switchUnderFire('rollback', 'rolledBack', Math.ceil(times() / 2))
      tally.rollbacks++
      tell(
        `  rolled back; ${tally.count('kill')} kills, ${backward.accepted.size} writes to Postgres, ${backward.refused()} refused`,
      )
    } finally {
      await forward.stop()
      await backward?.stop()
    }
    await checkJourney(project, tally, { forward, backward, number })
  }

  /** Keeps a conductor running over one fault after another. */
  async #harass(phase: 'following' | 'mirroring', rounds: number): Promise<void> {
    const { dice } = this.#storm
    for (let round = 0; round < rounds; round++) {
      const kind = this.#options.next.choose(phase, dice)
      const mustGetReady = kind !== 'kill' && !faultOf(kind).between && dice() < 0.3
      await this.#outlive(phase, kind, mustGetReady)
    }
  }

  /**
   * A conductor ends only by a signal, and where it was asked to, when the switch could begin. One that has not begun yet may be refused: the
   * command needs Postgres to start.
   */
  async #outlive(phase: 'following' | 'mirroring', kind: FaultName, mustGetReady: boolean): Promise<void> {
    const { project, dice, tally } = this.#storm
    const conductor = project.start('move', fileName, ...(mustGetReady ? ['--until-ready'] : []))
    const early = await endedWithin(conductor, between(dice, 100, 3500))
    if (early && !(mustGetReady && early.code === 0)) tally.fail(`${phase}: the conductor ended by itself with ${wordsOf(early)}`)
    if (early) return
    const hasBegun = kind === 'kill' || (await project.isHeldBy(conductor))
    await this.#strike(phase, kind, conductor)
    if (kind !== 'kill') {
      const ended = await endedWithin(conductor, mustGetReady ? patienceMs : between(dice, 0, 3000))
      const isWell = ended === undefined ? !mustGetReady : ended.signal === 'SIGKILL' || (mustGetReady && ended.code === 0)
      const mayEnd = !hasBegun && ended !== undefined && isRetryable(ended)
      if (!isWell && !mayEnd)
        tally.fail(
          `${phase}: after ${kind}, the conductor ${ended ? `ended with ${wordsOf(ended)}` : 'hangs and does not get ready'}`,
        )
    }
    await this.#kill(phase, conductor)
  }

  async #kill(phase: Phase, started: Started): Promise<void> {
    const { project, tally } = this.#storm
    if (await project.kill(started)) tally.strike('kill', phase)
  }

  async #strike(phase: Phase, kind: FaultName, started: Started): Promise<void> {
    const { project, dice, tally } = this.#storm
    if (kind === 'kill') {
      const alsoServer = dice() < 0.1
      await Promise.all([this.#kill(phase, started), ...(alsoServer ? [project.stopServer('SIGKILL')] : [])])
      if (!alsoServer) return
      // Postgres is an orphan until the next command takes it over.
      tally.strike('kill', `${phase} (server)`)
      return project.startServer()
    }
    const fault = faultOf(kind)
    if (fault.between) await this.#kill(phase, started)
    const done = await fault.strike(this.#storm, phase)
    if (done === undefined) return
    tally.strike(kind, phase)
    tell(`    ${phase}: ${kind} (${done})`)
  }

  /** Repeats a switch over one fault after another until the record says that it has happened. A refusal has to say why. */
  async #switchUnderFire(verb: 'cutover' | 'rollback', goal: string, faults: number): Promise<void> {
    const { project, dice, tally } = this.#storm
    for (let attempt = 0; ; attempt++) {
      const command = project.start('move', verb, fileName, ...(verb === 'cutover' ? ['--no-mirror'] : []), ...maxPause)
      let outcome = await endedWithin(command, attempt < faults ? between(dice, 300, 2500) : patienceMs)
      if (!outcome && attempt < faults) {
        await this.#strike(verb, this.#options.next.choose(verb, dice), command)
        outcome = await endedWithin(command, patienceMs)
      }
      if (!outcome) {
        tally.fail(`${verb} hangs`)
        await project.kill(command)
      }
      const state = await project.moveState()
      if (state === goal) return
      if (outcome && outcome.signal === null) {
        const code = errorCodeOf(outcome)
        if (outcome.code === 0 || code === undefined || code === 'TM_INTERNAL')
          tally.fail(`${verb} left the move ${state} and ended with ${wordsOf(outcome)}`)
        else tally.refuse(code)
        tell(`  ${verb} was refused: ${wordsOf(outcome).slice(0, 300)}`)
      }
      if (attempt > faults + triesMore) throw new Error(`${verb} does not get through: the state is ${state}`)
      // A gate that is not ready yet is made ready by following.
      if (state === 'following' || state === 'mirroring') await project.must('move', fileName, '--until-ready')
    }
  }
}

export const journey = (storm: Storm, options: JourneyOptions): Promise<void> => new Journey(storm, options).run()
