import { maskSecrets } from '../secrets.js'
import { type Clock, systemClock } from '../time/clock.js'
import { type Logger, type Signal, type SignalListener, type Signals, signalTable, silentLogger } from './observability.js'

export interface SignalsOptions {
  /** Signals kept for {@link Signals.recent} and for replay; the oldest give way. Default 256. */
  readonly capacity?: number
  readonly clock?: Clock
  readonly log?: Logger
}

const masked = (details: Signal['details']): Signal['details'] =>
  Object.fromEntries(Object.entries(details).map(([key, value]) => [key, typeof value === 'string' ? maskSecrets(value) : value]))

/** Makes the bus by which lower floors raise trouble. */
export const createSignals = ({ capacity = 256, clock = systemClock, log = silentLogger }: SignalsOptions = {}): Signals => {
  const kept: Signal[] = []
  const listeners = new Set<SignalListener>()

  const deliver = (listener: SignalListener, signal: Signal): void => {
    queueMicrotask(() => {
      // Between raising and delivery the listener may have gone.
      if (!listeners.has(listener)) return
      const call = async () => listener(signal)
      call().catch((err: unknown) => log.error('a listener to signals failed', { signal: signal.name, err }))
    })
  }

  return {
    raise: ({ name, subject, message, details = {} }) => {
      const { severity } = signalTable[name]
      const signal: Signal = {
        name,
        severity,
        subject: maskSecrets(subject),
        message: maskSecrets(message),
        at: clock.now(),
        details: masked(details),
      }
      kept.push(signal)
      if (kept.length > capacity) kept.shift()
      for (const listener of listeners) deliver(listener, signal)
    },
    listen: (listener, { replay = false } = {}) => {
      // A wrapper of its own, so that one function may listen twice.
      const own: SignalListener = (signal) => listener(signal)
      listeners.add(own)
      if (replay) for (const signal of kept) deliver(own, signal)
      return () => void listeners.delete(own)
    },
    recent: () => [...kept],
  }
}
