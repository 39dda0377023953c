import { type ReactNode, useLayoutEffect, useRef } from 'react'

export interface BubblesProps {
  readonly label: string
  /** How many there are: when there are more, the last is scrolled to, for whoever was at the end. */
  readonly count: number
  /** Whether each new one is read out. */
  readonly isReadOut: boolean
  /** Of `<li className="bubble">`. */
  readonly children: ReactNode
}

/** As near to the end as a reader stops. In pixels. */
const nearEnd = 24

/** What was said, the oldest first; the newest is in sight. */
export const Bubbles = ({ label, count, isReadOut, children }: BubblesProps) => {
  const place = useRef<HTMLElement>(null)
  const isAtEnd = useRef(true)
  useLayoutEffect(() => {
    const { current } = place
    if (current && count > 0 && isAtEnd.current) current.scrollTop = current.scrollHeight
  }, [count])
  return (
    // biome-ignore-start lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard.
    <section
      ref={place}
      className="bubbles"
      role={isReadOut ? 'log' : undefined}
      aria-label={label}
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight <= nearEnd
      }}
    >
      {count === 0 ? <p className="dim">Nothing was said yet.</p> : <ol>{children}</ol>}
    </section>
    // biome-ignore-end lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard.
  )
}
