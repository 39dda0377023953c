import { describeDoors } from '../../../packages/tidemark/src/server/testing/describe-doors.js'
import { describeAccess } from '../../../packages/tidemark/src/testing/app/describe-access.js'
import { matrix } from './access-matrix.js'
import { supportiveYarn } from './supportive-yarn.js'

// Talks of the chatbot and chats of users: neither app has a table of the other.
// @holds C75
describeAccess(matrix, supportiveYarn)
describeDoors(matrix, supportiveYarn)
