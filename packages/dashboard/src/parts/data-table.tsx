// biome-ignore-all lint/a11y/noStaticElementInteractions: as below; its role is one of two.
// biome-ignore-all lint/a11y/useSemanticElements: rows of a <table> cannot be placed one by one; the grid keeps the focus and takes the keys.
// biome-ignore-all lint/a11y/useFocusableInteractive: rows of a <table> cannot be placed one by one; the grid keeps the focus and takes the keys.
// biome-ignore-all lint/a11y/useKeyWithClickEvents: rows of a <table> cannot be placed one by one; the grid keeps the focus and takes the keys.
// biome-ignore-all lint/a11y/noNoninteractiveTabindex: rows of a <table> cannot be placed one by one; the grid keeps the focus and takes the keys.
// biome-ignore-all lint/a11y/useAriaPropsSupportedByRole: rows of a <table> cannot be placed one by one; the grid keeps the focus and takes the keys.
import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, memo, type ReactNode, useId, useRef, useState } from 'react'

export interface Column<T> {
  readonly name: string
  readonly title: string
  /** As in `grid-template-columns`; a fixed or minimal width keeps columns in line. */
  readonly width: string
  readonly align?: 'start' | 'end'
  readonly cell: (row: T) => ReactNode
}

export interface DataTableProps<T> {
  readonly label: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string
  /** Opens a row: by a click, or Enter on the one that the arrows chose. */
  readonly onOpen?: (row: T) => void
  readonly openKey?: string | undefined
  /** More of them scroll. In pixels, and more where the window is tall. Default 480. */
  readonly maxHeight?: number
  readonly rowHeight?: number
  /** Many rows go by: what is on the page is written anew for others, and not made anew. For cells that keep nothing of their own. */
  readonly isFast?: boolean
  /** Instead of rows, where there are none. */
  readonly empty?: ReactNode
}

/** Where a key leads in a list; undefined for keys that lead nowhere. */
export const step = (key: string, at: number, last: number): number | undefined => {
  if (key === 'ArrowDown') return Math.min(at + 1, last)
  if (key === 'ArrowUp') return Math.max(at - 1, 0)
  if (key === 'PageDown') return Math.min(at + 10, last)
  if (key === 'PageUp') return Math.max(at - 10, 0)
  if (key === 'Home') return 0
  return key === 'End' ? last : undefined
}

/** Widths of columns grow with the letters, where the screen is large. */
const scaled = (width: string): string => width.replace(/\d+px/g, (px) => `calc(${px} * var(--scale, 1))`)

/** So many rows are made beyond those that are seen, on each side. */
const overscan = 6

interface CellsProps<T> extends Pick<DataTableProps<T>, 'columns'> {
  readonly row: T
  readonly role: 'cell' | 'gridcell'
}

/** Made once for a row: when it only moves, nothing in it is looked at. */
const Cells = memo(<T,>({ columns, row, role }: CellsProps<T>) =>
  columns.map(({ name, align, cell }) => (
    <div role={role} key={name} data-align={align}>
      {cell(row)}
    </div>
  )),
) as <T>(props: CellsProps<T>) => ReactNode

/** A table of any length: only the rows that are seen are on the page. Arrows choose a row, Enter opens it. */
export const DataTable = <T,>(props: DataTableProps<T>) => {
  const { label, columns, rows, rowKey, onOpen, openKey, maxHeight = 480, rowHeight = 34, isFast = false, empty } = props
  const scroller = useRef<HTMLDivElement>(null)
  const [active, setActive] = useState(-1)
  const prefix = useId()
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan,
    initialRect: { width: 800, height: maxHeight },
  })
  if (rows.length === 0 && empty !== undefined) return empty
  const places = Math.ceil((virtual.scrollRect?.height ?? maxHeight) / rowHeight) + 2 * overscan + 1
  const template = { gridTemplateColumns: columns.map(({ width }) => scaled(width)).join(' ') }
  const pressed = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return
    const next = step(event.key, active, rows.length - 1)
    if (next !== undefined) {
      event.preventDefault()
      setActive(next)
      virtual.scrollToIndex(next)
    } else if (event.key === 'Enter' && rows[active] !== undefined) {
      event.preventDefault()
      onOpen?.(rows[active])
    }
  }
  return (
    <div
      className="table"
      role={onOpen ? 'grid' : 'table'}
      aria-label={label}
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      tabIndex={0}
      aria-activedescendant={onOpen && active >= 0 ? `${prefix}-${active}` : undefined}
      ref={scroller}
      style={{ maxHeight: `max(${maxHeight}px, 45dvh, 100dvh - 620px)` }}
      data-clickable={onOpen ? true : undefined}
      onKeyDown={pressed}
    >
      <div role="rowgroup" className="head">
        <div role="row" aria-rowindex={1} style={template}>
          {columns.map(({ name, title, align }) => (
            <div role="columnheader" key={name} data-align={align}>
              {title}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="rows" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const row = rows[index]!
          const key = rowKey(row)
          const isOpen = key === openKey
          return (
            <div
              role="row"
              id={`${prefix}-${index}`}
              key={isFast ? index % places : key}
              aria-rowindex={index + 2}
              data-active={index === active || isOpen || undefined}
              style={{ ...template, height: rowHeight, transform: `translateY(${start}px)` }}
              onClick={onOpen ? () => onOpen(row) : undefined}
            >
              <Cells columns={columns} row={row} role={onOpen ? 'gridcell' : 'cell'} />
            </div>
          )
        })}
      </div>
    </div>
  )
}
