import type { SqlFunction, Table } from '../catalogue.js'
import type { RestAnswer } from './answer.js'

const allowing = (methods: readonly string[]): RestAnswer => ({
  status: 200,
  statusText: undefined,
  headers: { 'access-control-allow-origin': '*', allow: methods.join(',') },
  body: undefined,
})

const reading = ['OPTIONS', 'GET', 'HEAD']

/** OPTIONS on a relation: the methods that can do something with it. */
export const relationOptions = ({ insertable, updatable, deletable, primaryKey }: Table): RestAnswer =>
  allowing([
    ...reading,
    ...(insertable ? ['POST'] : []),
    ...(insertable && updatable && primaryKey.length > 0 ? ['PUT'] : []),
    ...(updatable ? ['PATCH'] : []),
    ...(deletable ? ['DELETE'] : []),
  ])

/** OPTIONS on a function: one that may write is not called by GET. */
export const functionOptions = ({ volatility }: SqlFunction): RestAnswer =>
  allowing(volatility === 'volatile' ? ['OPTIONS', 'POST'] : [...reading, 'POST'])

/** OPTIONS on the root. */
export const rootOptions = (): RestAnswer => allowing(reading)
