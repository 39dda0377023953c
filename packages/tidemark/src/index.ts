export { type ErrorCode, errorTable, exitCodes, isTidemarkError, TidemarkError } from './errors.js'
