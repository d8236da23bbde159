export { memoryDisk } from './memory-disk.js'
export {
  PipelineDriver,
  type TestPipelineOptions,
  type TestRecord,
  type TestSendOptions,
  type TestStore,
  testPipeline,
} from './pipeline-driver.js'
export { SeededRandom } from './seeded-random.js'
export { type Simulation, type SimulationOptions, simulate } from './simulate.js'
export { type CrashKind, type DiskCall, SimulatedDisk } from './simulated-disk.js'
export { SimulatedMachine, type SimulatedProcess } from './simulated-machine.js'
export { type SimulatedHost, SimulatedNetwork, type SimulatedNetworkOptions } from './simulated-network.js'
export { TestProbe } from './test-probe.js'
