import { X } from 'lucide-react'
import { Dialog as Radix } from 'radix-ui'
import type { ReactNode } from 'react'
import { IconButton } from './button.tsx'
import { useFocusBack } from './use-focus-back.ts'

export interface DialogProps {
  readonly title: string
  readonly description?: ReactNode
  readonly isOpen: boolean
  onClose(): void
  readonly isWide?: boolean
  readonly children?: ReactNode
  readonly actions?: ReactNode
}

/** Takes the keyboard until it is closed, and gives it back to where it was. */
export const Dialog = ({ title, description, isOpen, onClose, isWide = false, children, actions }: DialogProps) => {
  const focus = useFocusBack()
  return (
    <Radix.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="overlay" />
        <Radix.Content
          className="dialog"
          {...focus}
          data-wide={isWide || undefined}
          {...(description === undefined && { 'aria-describedby': undefined })}
        >
          <header className="row">
            <div style={{ flex: 1, minWidth: 0 }}>
              <Radix.Title asChild>
                <h2>{title}</h2>
              </Radix.Title>
              {description !== undefined && <Radix.Description>{description}</Radix.Description>}
            </div>
            <Radix.Close asChild>
              <IconButton icon={X} label="Close" />
            </Radix.Close>
          </header>
          {children !== undefined && <div className="body">{children}</div>}
          {actions !== undefined && <footer>{actions}</footer>}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
