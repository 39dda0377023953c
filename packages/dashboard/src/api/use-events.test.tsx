// @vitest-environment happy-dom
import { cleanup, renderHook } from '@testing-library/react'
import { afterEach, expect, test, vi } from 'vitest'
import { TestEventSource } from '../testing/render-dashboard.tsx'
import { useEvents } from './use-events.ts'

const frameMs = 16

afterEach(() => {
  cleanup()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** What each telling held, by how many came in each frame. */
const told = (frames: readonly number[]): readonly number[] => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'requestAnimationFrame', 'cancelAnimationFrame', 'performance'],
    now: 10_000,
  })
  vi.stubGlobal('EventSource', TestEventSource)
  TestEventSource.opened = []
  const tellings: number[] = []
  renderHook(() => useEvents({ url: '/stream', types: ['change'], onEvents: (events) => void tellings.push(events.length) }))
  vi.advanceTimersByTime(1_000)
  for (const events of frames) {
    for (let n = 0; n < events; n++) TestEventSource.opened[0]!.emit('change', {})
    vi.advanceTimersByTime(frameMs)
  }
  vi.advanceTimersByTime(1_000)
  return tellings
}

test('what comes now and then is told with the next frame', () => {
  expect(told([1, 0, 1, 0, 0, 0, 0, 0, 0, 2, 1])).toEqual([1, 1, 2, 1])
})

test('a flood is told ten times a second, also where only a few come in each frame; nothing is missing', () => {
  for (const events of [4, 40]) {
    const tellings = told(Array.from({ length: 60 }, () => events))
    expect(tellings.reduce((sum, n) => sum + n)).toBe(60 * events)
    expect(tellings.length).toBeLessThan(14)
  }
})
