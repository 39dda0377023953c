import { createContext, useContext } from 'react'
import type { RegisteredDatabase } from '../register.js'
import type { Tidemark } from '../tidemark.js'

export const TidemarkContext = createContext<Tidemark | undefined>(undefined)

/** The client of the provider above. */
export const useTidemark = <Db = RegisteredDatabase>(): Tidemark<Db> => {
  const tidemark = useContext(TidemarkContext)
  if (!tidemark) throw new Error('There is no <TidemarkProvider> above this component')
  return tidemark as unknown as Tidemark<Db>
}
