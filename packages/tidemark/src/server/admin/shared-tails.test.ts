import { expect, test } from 'vitest'
import { until } from '../../time/until.js'
import type { TailRun, Told } from '../operations/feed-tail.js'
import { createSharedTails, type OpenTail, type TailListener } from './shared-tails.js'

type Run = Pick<TailRun, 'signal' | 'onTold' | 'onListening'>

interface Opened {
  readonly tables: readonly string[] | undefined
  readonly run: Run
  readonly fail: (error: unknown) => void
}

const setUp = () => {
  const opened: Opened[] = []
  const open: OpenTail = (tables, run) =>
    new Promise((resolve, reject) => {
      opened.push({ tables, run, fail: reject })
      run.signal.addEventListener('abort', () => resolve())
    })
  return { opened, tails: createSharedTails(open, { stayMs: 5 }) }
}

const listener = () => {
  const heard: unknown[] = []
  const one: TailListener = {
    onListening: (position) => void heard.push(position === undefined ? 'listening' : ['listening', position]),
    onTold: (told) => void heard.push(told),
    onEnd: (error) => void heard.push(['end', error]),
  }
  return { heard, one }
}

const told = { type: 'reset', reason: 'r', position: 'p' } satisfies Told

test('all who look at the same tables share one reader, in whatever order they name them; it ends with the last of them', async () => {
  const { opened, tails } = setUp()
  const [first, second, third] = [listener(), listener(), listener()]
  const leaveFirst = tails.listen(['a.b', 'a.a'], first.one)
  opened[0]?.run.onListening?.()
  const leaveSecond = tails.listen(['a.a', 'a.b', 'a.a'], second.one)
  const leaveThird = tails.listen(undefined, third.one)
  expect(opened.map(({ tables }) => tables)).toEqual([['a.a', 'a.b'], undefined])
  void opened[0]?.run.onTold(told)
  expect([first.heard, second.heard, third.heard]).toEqual([['listening', told], ['listening', told], []])
  leaveFirst()
  leaveFirst()
  void opened[0]?.run.onTold(told)
  expect([first.heard.length, second.heard.length]).toEqual([2, 3])
  const late = listener()
  tails.listen(['a.a', 'a.b'], late.one)()
  // Who comes later knows where to go on from when its line is cut.
  expect(late.heard).toEqual([['listening', 'p']])
  leaveSecond()
  await until(() => opened[0]?.run.signal.aborted === true)
  expect(opened[1]?.run.signal.aborted).toBe(false)
  tails.listen(['a.a', 'a.b'], first.one)
  expect(opened).toHaveLength(3)
  leaveThird()
  await tails.stop()
  expect(first.heard.at(-1)).toEqual(['end', undefined])
})

test('what ends a reader is told to all of them, and whoever comes next begins another', async () => {
  const { opened, tails } = setUp()
  const one = listener()
  tails.listen(['a.a'], one.one)
  opened[0]?.fail('broken')
  await until(() => one.heard.length === 1)
  expect(one.heard).toEqual([['end', 'broken']])
  tails.listen(['a.a'], one.one)
  expect(opened).toHaveLength(2)
  await tails.stop()
})
