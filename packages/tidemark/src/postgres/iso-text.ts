/** An SQL expression that writes a moment, an expression of timestamptz, as ISO 8601 in UTC, to the millisecond. */
export const isoText = (moment: string): string => `to_char((${moment}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
