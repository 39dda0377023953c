export interface MeterProps {
  readonly label: string
  /** From 0 to 1. */
  readonly share: number
  readonly kind?: 'plain' | 'ok' | 'bad'
}

export const Meter = ({ label, share, kind = 'plain' }: MeterProps) => {
  const percent = Math.round(Math.min(Math.max(share, 0), 1) * 1000) / 10
  return (
    <span
      className="meter"
      data-kind={kind}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <i style={{ width: `${percent}%` }} />
    </span>
  )
}
