import { clientCases } from './client-cases.js'
import { apache } from './targets.js'

clientCases(apache)
