import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, useId } from 'react'

interface FieldProps {
  readonly label: string
  readonly hint?: ReactNode
  /** Why what is there cannot be taken. */
  readonly wrong?: string | undefined
}

type TextFieldProps = FieldProps & InputHTMLAttributes<HTMLInputElement>

const describedBy = (id: string, hint: ReactNode, wrong: string | undefined): string | undefined =>
  [hint === undefined ? '' : `${id}-hint`, wrong === undefined ? '' : `${id}-wrong`].filter((part) => part !== '').join(' ') ||
  undefined

const Around = ({ id, label, hint, wrong, children }: FieldProps & { readonly id: string; readonly children: ReactNode }) => (
  <div className="field">
    <label htmlFor={id}>{label}</label>
    {children}
    {hint !== undefined && (
      <span className="hint" id={`${id}-hint`}>
        {hint}
      </span>
    )}
    {wrong !== undefined && (
      <span className="wrong" id={`${id}-wrong`} role="alert">
        {wrong}
      </span>
    )}
  </div>
)

export const TextField = ({ label, hint, wrong, ...rest }: TextFieldProps) => {
  const id = useId()
  return (
    <Around id={id} label={label} hint={hint} wrong={wrong}>
      <input
        autoComplete="off"
        spellCheck={false}
        {...rest}
        id={id}
        className="input"
        aria-invalid={wrong !== undefined || undefined}
        aria-describedby={describedBy(id, hint, wrong)}
      />
    </Around>
  )
}

type SelectFieldProps = FieldProps &
  SelectHTMLAttributes<HTMLSelectElement> & { readonly options: readonly (readonly [value: string, label: string])[] }

export const SelectField = ({ label, hint, wrong, options, ...rest }: SelectFieldProps) => {
  const id = useId()
  return (
    <Around id={id} label={label} hint={hint} wrong={wrong}>
      <select {...rest} id={id} className="input" aria-describedby={describedBy(id, hint, wrong)}>
        {options.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </Around>
  )
}
