import { describeDoors } from '../../../packages/tidemark/src/server/testing/describe-doors.js'
import { describeAccess } from '../../../packages/tidemark/src/testing/describe-access.js'
import { matrix } from './access-matrix.js'
import { chat } from './chat.js'

describeAccess(matrix, chat)
describeDoors(matrix, chat)
