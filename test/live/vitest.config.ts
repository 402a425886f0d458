import path from "node:path"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: path.resolve(import.meta.dirname, "../.."),
  test: {
    include: ["test/live/*.live.ts"],
    // One process, so that nothing outlives it.
    pool: "threads",
    // Neon and the vault side by side, on two cores too.
    maxWorkers: 2,
    testTimeout: 600_000,
    hookTimeout: 120_000,
    reporters: ["verbose"],
  },
})
