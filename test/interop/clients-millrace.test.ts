import { clientCases } from './client-cases.js'
import { millrace } from './targets.js'

clientCases(millrace)
