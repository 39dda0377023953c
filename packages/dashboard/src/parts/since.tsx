import { ago } from '../format/format.ts'
import { useNow } from '../format/use-now.ts'

/** How long ago a moment was; the moment itself when pointed at. */
export const Since = ({ at }: { readonly at: string }) => {
  const now = useNow()
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {ago(at, now)}
    </time>
  )
}
