import type { BreakerReport } from 'tidemark/admin'
import type { StatusKind } from '../../parts/status.tsx'

type Given = Pick<BreakerReport, 'state' | 'forced'>

export const stateKind = (state: string): StatusKind => (state === 'CLOSED' ? 'ok' : state === 'OPEN' ? 'bad' : 'warn')

export const stateWord = (state: string): string => state.toLowerCase().replace('_', ' ')

export const kindOf = ({ state, forced }: Given): StatusKind => (forced === 'CLOSED' ? 'warn' : stateKind(state))

export const wordOf = ({ state, forced }: Given): string => (forced === null ? stateWord(state) : `held ${stateWord(forced)}`)
