import type { Shape } from './value-shape.js'

/**
 * What a frozen value takes in memory, on a 64-bit Node 20: measured, container by container. Text of the size of a value's JSON would be too
 * little by far: an object of three small numbers takes ten times its JSON.
 */
const wordBytes = 8
const containerBytes: Readonly<Record<Shape, number>> = { object: 24, array: 48, map: 184, set: 152, date: 112, bytes: 184 }
/** Of a Map and a Set beyond the four that their first table has room for. */
const memberBytes = { map: 40, set: 30 } as const
const roomInFirstTable = 4
/** From so many properties on an object is a table of its own, with its own keys. */
const tableFrom = 128
const tableSlotBytes = 48

/** Characters of a string in memory: one byte each, or two as soon as one of them is not ASCII (a little too much for Latin-1). */
export const charactersBytes = (text: string): number => (Buffer.byteLength(text) === text.length ? text.length : 2 * text.length)

const stringBytes = (text: string): number => 16 + Math.ceil(charactersBytes(text) / wordBytes) * wordBytes

const isSmall = (value: number): boolean => (value | 0) === value && !Object.is(value, -0)

/** Beyond the word that its container has for it. */
export const primitiveBytes = (value: unknown): number => {
  if (typeof value === 'string') return stringBytes(value)
  if (typeof value === 'number') return isSmall(value) ? 0 : 16
  if (typeof value === 'bigint') return 16 + Math.ceil(value.toString(16).length / 16) * wordBytes
  return 0
}

/** A container without what is in it. */
export const shellBytes = (shape: Shape, members: number): number => {
  const shell = containerBytes[shape]
  if (shape === 'map' || shape === 'set') return shell + Math.max(0, members - roomInFirstTable) * memberBytes[shape]
  if (shape === 'object' && members >= tableFrom) return shell + members * tableSlotBytes
  return shell + members * wordBytes
}
