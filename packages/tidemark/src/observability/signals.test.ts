import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import type { Logger, Signal } from './observability.js'
import { silentLogger } from './observability.js'
import { createSignals } from './signals.js'

const down = (subject: string) => ({ name: 'redis.down' as const, subject, message: `${subject} is gone` })
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('signals', () => {
  it('reach every listener in order, after the raiser went on, with severity and time filled in', async () => {
    const signals = createSignals({ clock: createFakeClock(5000) })
    const heard: Signal[] = []
    signals.listen((signal) => void heard.push(signal))
    signals.raise({ ...down('a'), details: { attempts: 2, url: 'redis://u:hunter2@h' } })
    signals.raise({ name: 'redis.up', subject: 'a', message: 'back' })
    expect(heard).toEqual([])
    await turn()
    expect(heard).toEqual([
      {
        name: 'redis.down',
        severity: 'warning',
        subject: 'a',
        message: 'a is gone',
        at: 5000,
        details: { attempts: 2, url: 'redis://u:***@h' },
      },
      { name: 'redis.up', severity: 'info', subject: 'a', message: 'back', at: 5000, details: {} },
    ])
  })

  it('let a listener that throws or rejects harm nobody, and log it', async () => {
    const failures: string[] = []
    const log: Logger = { ...silentLogger, error: (message) => void failures.push(message) }
    const signals = createSignals({ log })
    const heard: string[] = []
    signals.listen(() => {
      throw new Error('listener')
    })
    signals.listen(async () => {
      throw new Error('listener')
    })
    signals.listen(({ subject }) => void heard.push(subject))
    expect(() => signals.raise(down('a'))).not.toThrow()
    await turn()
    expect(heard).toEqual(['a'])
    expect(failures).toHaveLength(2)
  })

  it('are kept up to the capacity, and replayed to who asks for them', async () => {
    const signals = createSignals({ capacity: 3 })
    for (let i = 0; i < 10; i++) signals.raise(down(String(i)))
    const heard: string[] = []
    const deaf: string[] = []
    signals.listen(({ subject }) => void heard.push(subject), { replay: true })
    signals.listen(({ subject }) => void deaf.push(subject))
    signals.raise(down('10'))
    await turn()
    expect(heard).toEqual(['7', '8', '9', '10'])
    expect(deaf).toEqual(['10'])
    expect(signals.recent().map(({ subject }) => subject)).toEqual(['8', '9', '10'])
  })

  it('stop at once for a listener that left, also if one was on its way', async () => {
    const signals = createSignals()
    const heard: string[] = []
    const leave = signals.listen(({ subject }) => void heard.push(subject))
    signals.raise(down('a'))
    leave()
    await turn()
    expect(heard).toEqual([])
  })
})
