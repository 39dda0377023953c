/** What the plan of a move says about the values of its columns. */
import type { ColumnPlan, MovePlan } from '../../move/move.js'
import type { ColumnValue, ColumnValues } from '../store.js'

/** A form of a boolean as the file has it: a number where it reads like one. */
const formOf = (text: string): string | number => (/^-?\d+$/.test(text) ? Number(text) : text)

const valueOfColumn = ({ conversion, targetType }: ColumnPlan): ColumnValue | undefined => {
  switch (conversion.kind) {
    case 'boolean':
      return { kind: 'boolean', forms: [formOf(conversion.truthy[0] ?? '1'), formOf(conversion.falsy[0] ?? '0')] }
    case 'timestamp':
      return { kind: 'moment', format: conversion.format, naive: true }
    case 'timestamptz':
      return { kind: 'moment', format: conversion.format, timeZone: conversion.timeZone }
    case 'epoch':
      return { kind: 'moment', format: conversion.unit, naive: !targetType.endsWith('with time zone') }
    case 'date':
      return { kind: 'date' }
    case 'json':
    case 'jsonb':
      return { kind: 'json' }
    case 'uuid':
      return conversion.form === 'mapped' ? undefined : { kind: 'uuid', dashless: conversion.form === 'dashless' }
    default:
      return undefined
  }
}

/**
 * For `columns` of {@link StoreOptions}: booleans, moments, JSON and uuids of every table by its name in the file. Identifiers that the move
 * mapped are two different values, and are left as each store has them.
 */
export const columnsOfPlan = (plan: Pick<MovePlan, 'tables'>): ColumnValues =>
  Object.fromEntries(
    plan.tables.map((table) => [
      table.source,
      Object.fromEntries(
        table.columns.flatMap((column) => {
          const value = valueOfColumn(column)
          return value ? [[column.source, value]] : []
        }),
      ),
    ]),
  )
