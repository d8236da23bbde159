export { CrashableKeyValue } from './crashable-key-value.js'
export { SimulatedStorage } from './simulated-storage.js'
