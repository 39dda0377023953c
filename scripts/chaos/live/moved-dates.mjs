// Preloaded where libfaketime is not installed: moves the dates of this process by the seconds that the file of the clock tells.
import { readFileSync } from 'node:fs'

const path = process.env.CHAOS_CLOCK
const RealDate = Date
let [off, readAt] = [0, Number.NEGATIVE_INFINITY]

const now = () => {
  const at = performance.now()
  if (at - readAt > 1000) {
    readAt = at
    try {
      off = Number(readFileSync(path, 'utf8')) * 1000
    } catch {
      // It is being written; the next look will tell.
    }
  }
  return RealDate.now() + off
}

globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(now()).toString(),
  construct: (target, parts, asked) => Reflect.construct(target, parts.length === 0 ? [now()] : parts, asked),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
})
