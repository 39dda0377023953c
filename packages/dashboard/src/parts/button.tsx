import { LoaderCircle, type LucideIcon } from 'lucide-react'
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react'

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly kind?: 'plain' | 'primary' | 'danger' | 'quiet'
  readonly icon?: LucideIcon
  /** Under way: it cannot be pressed again meanwhile. */
  readonly isBusy?: boolean
  readonly children?: ReactNode
  readonly ref?: Ref<HTMLButtonElement>
}

export const Button = ({ kind = 'plain', icon: Icon, isBusy = false, children, disabled, ...rest }: ButtonProps) => (
  <button
    type="button"
    {...rest}
    className="button"
    data-kind={kind}
    data-icon={children === undefined || undefined}
    disabled={disabled || isBusy}
    aria-busy={isBusy || undefined}
  >
    {isBusy ? (
      <LoaderCircle size={15} className="turning" aria-hidden />
    ) : (
      Icon && <Icon size={15} strokeWidth={1.9} aria-hidden />
    )}
    {children}
  </button>
)

/** A button of an icon alone, with the words that it stands for. */
export const IconButton = ({
  label,
  icon,
  ...rest
}: Omit<ButtonProps, 'children'> & { readonly label: string; readonly icon: LucideIcon }) => (
  <Button kind="quiet" {...rest} icon={icon} aria-label={label} title={label} />
)
