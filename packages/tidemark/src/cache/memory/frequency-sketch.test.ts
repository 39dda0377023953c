import { expect, test } from 'vitest'
import { FrequencySketch, hashOf } from './frequency-sketch.js'

const hashes = Array.from({ length: 2000 }, (_, at) => hashOf(`chat:messages:${at}`))

test('the sketch counts up to fifteen, and never too low', () => {
  const sketch = new FrequencySketch()
  sketch.fit(hashes.length)
  for (const [at, hash] of hashes.entries()) for (let use = 0; use < at % 5; use++) sketch.add(hash)
  expect(hashes.filter((hash, at) => sketch.frequency(hash) < at % 5)).toEqual([])
  expect(hashes.filter((hash, at) => sketch.frequency(hash) > at % 5).length).toBeLessThan(100)
  for (let use = 0; use < 100; use++) sketch.add(hashes[0]!)
  expect(sketch.frequency(hashes[0]!)).toBe(15)
})

test('the sketch keeps its counts when it grows and when it shrinks', () => {
  const sketch = new FrequencySketch()
  const few = hashes.slice(0, 20)
  for (const hash of few) for (let use = 0; use < 6; use++) sketch.add(hash)
  sketch.fit(5000)
  expect(few.filter((hash) => sketch.frequency(hash) < 6)).toEqual([])
  expect(hashes.slice(20).filter((hash) => sketch.frequency(hash) > 0).length).toBeLessThan(200)
  for (const hash of few) sketch.add(hash)
  sketch.fit(20)
  expect(few.filter((hash) => sketch.frequency(hash) < 7)).toEqual([])
})

test('the sketch halves its counts as uses go by', () => {
  const sketch = new FrequencySketch()
  for (let use = 0; use < 12; use++) sketch.add(hashes[0]!)
  for (let use = 0; use < 320; use++) sketch.add(hashes[1]!)
  expect(sketch.frequency(hashes[0]!)).toBe(6)
})
