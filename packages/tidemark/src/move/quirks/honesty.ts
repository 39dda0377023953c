/** Everything in which a move was not honest about what it did (MOVE-3), by sums and by a comparison that owes nothing to it. */
import type { CopyReport, TableVerification } from '../move.js'
import type { PlainComparison } from './plain-comparison.js'
import type { Moved } from './run-quirk.js'

type CopiedTable = CopyReport['tables'][number]

const ofAccount = ({
  rows,
  equal,
  mapped,
  rejected,
  missing,
  extra,
  differing,
  ...rest
}: TableVerification): readonly string[] => [
  ...(equal + mapped + rejected === rows
    ? []
    : [`${equal} equal, ${mapped} mapped and ${rejected} rejected rows are not ${rows}`]),
  ...(missing + extra + differing === 0
    ? []
    : [`${missing} missing, ${extra} extra, ${differing} differing: ${JSON.stringify(rest.differences)}`]),
  ...(rest.sourceChecksum === rest.targetChecksum ? [] : ['the checksums differ']),
]

const ofPlain = ({ rows, rejected }: TableVerification, copied: CopiedTable, plain: PlainComparison): readonly string[] => [
  ...(plain.sourceRows === rows ? [] : [`the file has ${plain.sourceRows} rows, verification saw ${rows}`]),
  ...(plain.targetRows === rows - rejected ? [] : [`Postgres has ${plain.targetRows} rows in place of ${rows - rejected}`]),
  ...(plain.extra.length <= copied.replaced
    ? []
    : [`${plain.extra.length} values changed, ${copied.replaced} told: ${plain.extra[0]}`]),
  ...(plain.missing.length === rejected + plain.extra.length
    ? []
    : [`${plain.missing.length} rows lost, ${rejected} told: ${plain.missing[0]}`]),
]

const ofCopy = ({ rows, copied, rejected }: CopiedTable, verified: TableVerification, noted: number): readonly string[] => [
  ...(copied + rejected === rows ? [] : [`${copied} copied and ${rejected} rejected rows are not the ${rows} planned`]),
  ...(rejected === verified.rejected ? [] : [`the copy rejected ${rejected} rows, verification says ${verified.rejected}`]),
  ...(noted === rejected ? [] : [`${rejected} rejected rows, ${noted} of them in the table of rejects`]),
]

/** What a fresh move of a file at rest did wrong, in words; nothing where all is well. */
export const dishonesties = ({ plan, copy, verification, plain, noted }: Moved): readonly string[] => [
  ...plan.tables.flatMap(({ source }) => {
    const verified = verification.tables.find(({ table }) => table === source)
    const copied = copy.tables.find(({ table }) => table === source)
    if (!verified || !copied) return [`${source}: not told of`]
    const found = [
      ...ofAccount(verified),
      ...ofPlain(verified, copied, plain[source]!),
      ...ofCopy(copied, verified, noted[source] ?? 0),
    ]
    return found.map((complaint) => `${source}: ${complaint}`)
  }),
  ...(copy.ok === (copy.unallowedRejects === 0 && copy.objects.failed.length === 0) ? [] : [`copy.ok is ${copy.ok}`]),
]
