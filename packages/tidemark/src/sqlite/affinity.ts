import type { Affinity } from './sqlite.js'

/** The affinity SQLite derives from a declared type: the first rule that fits, in this order. */
export const affinityOf = (declaredType: string, strict = false): Affinity => {
  const type = declaredType.toUpperCase()
  if (strict && type === 'ANY') return 'BLOB'
  if (type.includes('INT')) return 'INTEGER'
  if (/CHAR|CLOB|TEXT/.test(type)) return 'TEXT'
  if (type === '' || type.includes('BLOB')) return 'BLOB'
  return /REAL|FLOA|DOUB/.test(type) ? 'REAL' : 'NUMERIC'
}
