import { describeDoors } from '../../../packages/tidemark/src/server/testing/describe-doors.js'
import { describeAccess } from '../../../packages/tidemark/src/testing/describe-access.js'
import { matrix } from './access-matrix.js'
import { supportiveYarn } from './supportive-yarn.js'

describeAccess(matrix, supportiveYarn)
describeDoors(matrix, supportiveYarn)
