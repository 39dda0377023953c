/**
 * A page without a browser, for what asks for one when it is loaded: import this before React. Everything else of Node stays, its `fetch` among it.
 */
import { Window } from 'happy-dom'

const names = [
  'document',
  'navigator',
  'location',
  'HTMLElement',
  'HTMLIFrameElement',
  'Element',
  'Node',
  'Text',
  'DocumentFragment',
  'MutationObserver',
  'getComputedStyle',
] as const

const page = new Window({ url: 'http://localhost/' })
const there = new Map<string, PropertyDescriptor | undefined>()

const define = (name: string, value: unknown): void => {
  there.set(name, Object.getOwnPropertyDescriptor(globalThis, name))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
}

/** Safe to repeat. */
export const openPage = (): Window => {
  if (there.size > 0) return page
  define('window', page)
  define('IS_REACT_ACT_ENVIRONMENT', true)
  for (const name of names) define(name, page[name])
  return page
}

/** Nothing of it stays for whoever comes next in this process. */
export const closePage = (): void => {
  for (const [name, descriptor] of there) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor)
    else Reflect.deleteProperty(globalThis, name)
  }
  there.clear()
}

openPage()
