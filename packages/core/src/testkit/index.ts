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
export { TestProbe } from './test-probe.js'
