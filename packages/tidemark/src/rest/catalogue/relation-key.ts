import type { RelationName } from '../catalogue.js'

/** One text for both names; neither can hold a NUL. */
export const relationKey = ({ schema, name }: RelationName): string => `${schema}\0${name}`
