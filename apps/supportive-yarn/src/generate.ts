#!/usr/bin/env node
/** Writes a realistic, flawed chat_history.db: `node apps/supportive-yarn/dist/generate.js out.db --seed 1 --sessions 200`. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { createRandom, isStarted, type Random, runFileCommand, wholeNumber } from 'tidemark/testing'
import { type MadeYarn, makeYarn } from './make-yarn.js'
import { sqliteSchema } from './sqlite-schema.js'
import { readWording } from './wording.js'

export interface GenerateOptions {
  /** The same seed and the same options give the same file. Default 1. */
  readonly seed?: number
  /** Default 200. At least 3: each flaw has a session of its own. */
  readonly sessions?: number
}

/** What stands in the file, and what is wrong with it on purpose. */
export interface GeneratedYarns {
  readonly sessions: number
  readonly messages: number
  readonly flaws: {
    /** Messages of sessions that are gone. */
    readonly orphanMessages: number
    /** Data of events that Python wrote as it writes dictionaries. */
    readonly brokenEvents: number
    /** Summaries that break off. */
    readonly brokenSummaries: number
  }
}

type Value = string | number | null

const firstDayMs = Date.UTC(2025, 0, 6)
const spanMs = 300 * 86_400_000

/** As SQLite's CURRENT_TIMESTAMP writes it. */
const stamp = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')

/** How the app wrote each yarn, row by row. */
class YarnFile {
  readonly #db: Database.Database
  readonly #statements = new Map<string, Database.Statement>()

  constructor(db: Database.Database) {
    this.#db = db
  }

  insert(table: string, row: Readonly<Record<string, Value>>): void {
    const names = Object.keys(row)
    const text = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map((name) => `@${name}`).join(', ')})`
    const statement = this.#statements.get(text) ?? this.#db.prepare(text)
    this.#statements.set(text, statement)
    statement.run(row)
  }

  event(at: string, event_type: string, data: object | null): void {
    this.insert('analytics', { event_type, event_data: data && JSON.stringify(data), timestamp: at })
  }
}

const writeYarn = (file: YarnFile, session_id: string, random: Random, yarn: MadeYarn): void => {
  let ms = firstDayMs + random.integer(0, spanMs)
  const begun = stamp(ms)
  const times = yarn.said.map(() => {
    ms += random.integer(5, 180) * 1000
    return stamp(ms)
  })
  const ended = times.at(-1)!
  file.insert('sessions', {
    ...{ session_id, fsm_state: yarn.state, created_at: begun, last_activity: ended },
    ...{ completed: yarn.completed ? 1 : 0, completion_time: yarn.completed ? ended : null },
  })
  file.event(begun, 'session_started', null)
  for (const [place, { message, risk, before, turn }] of yarn.said.entries()) {
    const at = times[place]!
    file.insert('chat_history', { session_id, role: 'user', message, ts: at })
    file.insert('chat_history', { session_id, role: 'bot', message: turn.reply, ts: at })
    if (risk) {
      file.insert('risk_detections', { session_id, trigger_phrase: risk.phrase, user_message: message, detected_at: at })
      file.event(at, 'risk_triggered', { severity: risk.severity })
    }
    if (turn.understood) {
      const found = { classified_intent: turn.understood, confidence: 1, method: 'rule_based', fsm_state: before }
      file.insert('intent_classifications', { session_id, user_message: message, ...found, inference_time_ms: 0, created_at: at })
      file.event(at, 'rule_based_used', { intent: turn.understood })
    }
    if (turn.answer) {
      const { step, text: response } = turn.answer
      file.insert('user_responses', { session_id, step, response, attempt_count: 0, created_at: at, updated_at: at })
      file.event(at, 'step_completed', { step })
    }
  }
  if (!yarn.completed) return
  file.insert('session_summaries', {
    ...{ session_id, summary_type: 'complete', summary_data: JSON.stringify(yarn.answers), generated_at: ended },
  })
  file.event(ended, 'session_completed', null)
}

/** What such files have wrong: each kind at its own sessions. */
const writeFlaws = (file: YarnFile, random: Random, session_id: string, index: number): GeneratedYarns['flaws'] => {
  const at = stamp(firstDayMs + random.integer(0, spanMs))
  const [isOrphan, hasEvent, hasSummary] = [index % 50 === 0, index % 40 === 1, index % 60 === 2]
  if (isOrphan) file.insert('chat_history', { session_id: random.uuidHex(), role: 'user', message: 'hello?', ts: at })
  if (hasEvent) file.insert('analytics', { event_type: 'step_completed', event_data: "{'step': 'goals'}", timestamp: at })
  if (hasSummary)
    file.insert('session_summaries', { session_id, summary_type: 'partial', summary_data: '{"goals": "fin', generated_at: at })
  return { orphanMessages: Number(isOrphan), brokenEvents: Number(hasEvent), brokenSummaries: Number(hasSummary) }
}

/** Writes the file and tells what is in it, with the flaws that a move must report. Raises where there is one already. */
export const generate = (path: string, { seed = 1, sessions = 200 }: GenerateOptions = {}): GeneratedYarns => {
  if (!Number.isInteger(sessions) || sessions < 3) throw new Error('there must be at least 3 sessions')
  if (existsSync(path)) throw new Error(`${path} exists; delete it or choose another name`)
  const random = createRandom(seed)
  const wording = readWording()
  const db = new Database(path)
  try {
    // As SQLite has it by default, and so sessions went and left their messages behind.
    db.pragma('foreign_keys = OFF')
    db.exec(sqliteSchema)
    const file = new YarnFile(db)
    const flaws = { orphanMessages: 0, brokenEvents: 0, brokenSummaries: 0 }
    let messages = 0
    db.transaction(() => {
      for (let index = 0; index < sessions; index++) {
        const id = random.uuidHex()
        const yarn = makeYarn(random, wording)
        writeYarn(file, id, random, yarn)
        messages += yarn.said.length * 2
        const found = writeFlaws(file, random, id, index)
        for (const name of Object.keys(flaws) as (keyof typeof flaws)[]) flaws[name] += found[name]
      }
    })()
    return { sessions, messages: messages + flaws.orphanMessages, flaws }
  } finally {
    db.close()
  }
}

const usage = 'Usage: generate.js FILE [--seed N] [--sessions N]\n'

const numbers = { seed: { type: 'string', default: '1' }, sessions: { type: 'string', default: '200' } } as const

/** The command line; answers with the exit code. */
export const main = (argv: readonly string[]): number =>
  runFileCommand(argv, {
    usage,
    options: numbers,
    write: (path, values) => {
      const { sessions, messages, flaws } = generate(path, {
        seed: wholeNumber(values, 'seed'),
        sessions: wholeNumber(values, 'sessions'),
      })
      const wrong = Object.values(flaws).reduce((sum, count) => sum + count, 0)
      return `${sessions} sessions, ${messages} messages, ${wrong} flaws`
    },
  })

if (isStarted(import.meta.url)) process.exitCode = main(process.argv.slice(2))
