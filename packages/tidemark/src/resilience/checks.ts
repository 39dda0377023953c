import { TidemarkError } from '../errors.js'

/** Raises TM_RESILIENCE_BAD_OPTION unless every value is a number above zero. */
export const positive = (options: Readonly<Record<string, number>>): void => {
  for (const [option, value] of Object.entries(options)) {
    if (!(value > 0)) throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', { option, value, expected: 'a number above 0' })
  }
}

/** Raises TM_RESILIENCE_BAD_OPTION unless every value is a whole number above zero. */
export const positiveInteger = (options: Readonly<Record<string, number>>): void => {
  for (const option in options) {
    const value = options[option]!
    if (!(Number.isSafeInteger(value) && value > 0)) {
      throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', { option, value, expected: 'a whole number above 0' })
    }
  }
}
