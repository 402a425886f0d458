/** How many random lives a property is tried with: 2,000, or as many as TENANTRY_RUNS asks for. */
const numRuns = Number(process.env["TENANTRY_RUNS"] ?? 2000)
export const RUNS = { numRuns }

/** Milliseconds: thousands of runs on a busy machine. */
export const PATIENCE = { testTimeout: 60 * Math.max(numRuns, 2000) }
