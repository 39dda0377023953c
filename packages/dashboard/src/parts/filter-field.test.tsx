// @vitest-environment happy-dom
import { fireEvent, render, screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import { FilterField } from './filter-field.tsx'

test('what is typed stands while the address is behind; what the address says by itself replaces it', () => {
  const told: string[] = []
  const field = (value: string | undefined) => <FilterField label="Find" value={value} onChange={(text) => told.push(text)} />
  const { rerender } = render(field(undefined))
  const input = screen.getByLabelText<HTMLInputElement>('Find')
  const type = (value: string) => fireEvent.change(input, { target: { value } })
  type('a')
  type('ab')
  expect(input.value).toBe('ab')
  rerender(field('a'))
  expect(input.value).toBe('ab')
  rerender(field('ab'))
  rerender(field('a'))
  expect(input.value).toBe('a')
  rerender(field(undefined))
  expect(input.value).toBe('')
  expect(told).toEqual(['a', 'ab'])
})
