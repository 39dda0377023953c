import type { Media } from '../../query.js'
import { restErrors } from '../../rest-errors.js'

export interface Available {
  /** The type of the one value that there is; undefined where there are rows. */
  readonly valueType: string | undefined
  /** Plans are told to whoever asks. */
  readonly plans: boolean
}

const canBeMade = (media: Media, { valueType, plans }: Available): boolean => {
  switch (media.kind) {
    case 'text':
      return valueType !== undefined && valueType !== 'bytea'
    case 'octets':
      return valueType === 'bytea'
    case 'plan':
      return plans
    case 'openapi':
      return false
    default:
      return true
  }
}

/** The first of the accepted forms that can be made. Raises PGRST107. */
export const chooseMedia = (accept: readonly Media[], names: readonly string[], available: Available): Media => {
  const media = accept.find((accepted) => canBeMade(accepted, available))
  if (media) return media
  throw restErrors.mediaTypes(names)
}
