import { describe, expect, it } from 'vitest'
import { mayGoBehind } from './query-behind.js'

type Case = [text: string, values?: unknown[]]

const fit: Case[] = [
  ['select 1'],
  ['  SELECT * from note where id = $1', [1]],
  ['select\n*\nfrom note;'],
  ['with a as (select 1) select * from a', []],
  ['table note'],
  ['values (1), (2) ; '],
  [`select ';', $1::text`, ['x']],
]

const unfit: Case[] = [
  ['begin isolation level repeatable read'],
  ['set transaction isolation level serializable'],
  ['vacuum note'],
  ['insert into note values ($1)', [1]],
  ['explain select 1'],
  ['copy note to stdout'],
  ['selected'],
  ['-- begin\nselect 1'],
  [''],
  ['select 1; select 2'],
  ['select 1; begin', []],
]

describe('another statement in front', () => {
  it.each(fit)('may go with %j', (text, values) => expect(mayGoBehind(text, values)).toBe(true))
  it.each(unfit)('may not go with %j', (text, values) => expect(mayGoBehind(text, values)).toBe(false))
})
