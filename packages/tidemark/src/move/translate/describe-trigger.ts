import type { SqliteTrigger } from '../../sqlite/sqlite.js'
import { enterCreate } from '../../sqlite/statement.js'
import { TokenCursor, UnexpectedSql } from '../../sqlite/token-cursor.js'
import type { NotCarried } from './translation.js'

interface TriggerFacts {
  readonly timing: string
  readonly event: string
  readonly columns: readonly string[]
  readonly table: string
  readonly hasCondition: boolean
  readonly statements: readonly string[]
  readonly raises: boolean
}

const timings = ['BEFORE', 'AFTER', 'INSTEAD OF']
const statementWords = ['INSERT', 'UPDATE', 'DELETE', 'SELECT', 'REPLACE', 'WITH']

const readTiming = (cursor: TokenCursor): string => timings.find((timing) => cursor.take(...timing.split(' '))) ?? 'BEFORE'

const readColumns = (cursor: TokenCursor): string[] => {
  const columns: string[] = []
  if (!cursor.take('OF')) return columns
  do columns.push(cursor.name())
  while (cursor.take(','))
  return columns
}

/** The first word of each statement between BEGIN and END. */
const readStatements = (cursor: TokenCursor): string[] => {
  const words: string[] = []
  for (let starts = true; !cursor.done; ) {
    const word = cursor.next().text.toUpperCase()
    if (starts && statementWords.includes(word)) words.push(word)
    starts = word === ';'
  }
  return words
}

const parseTrigger = (sql: string): TriggerFacts => {
  const cursor = new TokenCursor(sql)
  enterCreate(cursor)
  const timing = readTiming(cursor)
  const event = cursor.next().text.toUpperCase()
  const columns = readColumns(cursor)
  cursor.expect('ON')
  const table = cursor.name()
  if (cursor.at('FOR', 'EACH', 'ROW')) cursor.position += 3
  const hasCondition = cursor.at('WHEN')
  while (!cursor.done && !cursor.at('BEGIN')) cursor.next()
  cursor.expect('BEGIN')
  const raises = cursor.tokens.some((token, i) => /^raise$/i.test(token.text) && cursor.tokens[i + 1]?.text === '(')
  return { timing, event, columns, table, hasCondition, statements: readStatements(cursor), raises }
}

const countWords = (words: readonly string[]): string =>
  [...new Set(words)].map((word) => `${words.filter((other) => other === word).length} ${word}`).join(', ')

const skeleton = (name: string, { timing, event, columns, table, hasCondition, raises }: TriggerFacts): string => {
  const of = columns.length > 0 ? ` OF ${columns.join(', ')}` : ''
  const when = hasCondition ? ' WHEN (the condition)' : ''
  const last = timing === 'AFTER' ? 'RETURN NULL' : event === 'DELETE' ? 'RETURN OLD' : 'RETURN NEW'
  const raise = raises ? ' RAISE(ABORT, …) becomes RAISE EXCEPTION.' : ''
  return (
    `Write a function (RETURNS trigger LANGUAGE plpgsql) with these statements, in which NEW and OLD mean the same, ending in ${last}; ` +
    `then CREATE TRIGGER ${name} ${timing} ${event}${of} ON ${table} FOR EACH ROW${when} EXECUTE FUNCTION it.${raise}`
  )
}

/** Triggers are programs in SQLite's dialect and are not carried: what one does, and how to write it anew. */
export const describeTrigger = (trigger: SqliteTrigger): NotCarried => {
  try {
    const facts = parseTrigger(trigger.sql)
    const of = facts.columns.length > 0 ? ` of ${facts.columns.join(', ')}` : ''
    const when = facts.hasCondition ? ', under a condition' : ''
    return {
      reason: `a trigger ${facts.timing} ${facts.event}${of} on ${facts.table}${when} that runs ${countWords(facts.statements)}${facts.raises ? ' and may refuse the change' : ''}`,
      suggestion: skeleton(trigger.name, facts),
    }
  } catch (error) {
    if (!(error instanceof UnexpectedSql)) throw error
    return {
      reason: `a trigger on ${trigger.table} whose text is not understood`,
      suggestion: `Write it anew for Postgres: ${trigger.sql}`,
    }
  }
}
