import { type TextareaHTMLAttributes, useId } from 'react'

type TextAreaProps = TextareaHTMLAttributes<HTMLTextAreaElement> & { readonly label: string; readonly hint?: string }

/** A field for more than a line. */
export const TextArea = ({ label, hint, ...rest }: TextAreaProps) => {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <textarea
        rows={5}
        spellCheck={false}
        {...rest}
        id={id}
        className="input mono"
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
      />
      {hint !== undefined && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  )
}
