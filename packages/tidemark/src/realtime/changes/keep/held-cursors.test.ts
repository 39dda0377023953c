import { expect, test } from 'vitest'
import { type HeldCursor, HeldCursors } from './held-cursors.js'

const held = (key: string, member: string): HeldCursor => ({
  key,
  member,
  position: { epoch: 'wal-1', number: 1n },
  number: 1,
  state: 'live',
  isWritten: true,
  seenAt: 0,
})

test('those of one key are found together, and leave one by one', () => {
  const cursors = new HeldCursors()
  const [first, second, other] = [held('key', 'a'), held('key', 'b'), held('other', 'c')]
  for (const each of [first, second, other]) cursors.add(each)
  expect(cursors.of('key')).toEqual([first, second])
  expect([...cursors.all()]).toEqual([first, second, other])
  expect([cursors.has(second), cursors.has({ key: 'other', member: 'b' })]).toEqual([true, false])
  cursors.delete({ key: 'key', member: 'unknown' })
  cursors.delete(first)
  expect(cursors.of('key')).toEqual([second])
  cursors.delete(second)
  expect([cursors.of('key'), [...cursors.all()]]).toEqual([[], [other]])
})
