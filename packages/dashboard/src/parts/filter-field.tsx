import { useEffect, useRef, useState } from 'react'
import { TextField } from './field.tsx'

interface FilterFieldProps {
  readonly label: string
  readonly hint?: string
  readonly placeholder?: string
  readonly type?: 'text' | 'date'
  /** As the address has it. */
  readonly value: string | undefined
  readonly onChange: (value: string) => void
}

/**
 * A filter that is typed. The address follows a moment later, and a field that showed only what stands there would move the caret to its end
 * with each letter: what is typed stands at once, and what the address says by itself, as after going back, replaces it.
 */
export const FilterField = ({ value = '', onChange, ...rest }: FilterFieldProps) => {
  const [typed, setTyped] = useState(value)
  const sent = useRef<readonly string[]>([])
  useEffect(() => {
    const at = sent.current.indexOf(value)
    sent.current = sent.current.slice(at + 1)
    if (at === -1) setTyped(value)
  }, [value])
  const change = (text: string): void => {
    sent.current = [...sent.current, text]
    setTyped(text)
    onChange(text)
  }
  return <TextField {...rest} value={typed} onChange={({ target }) => change(target.value)} />
}
