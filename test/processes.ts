/** What runs on this machine, from Linux's /proc. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

export type RunningProcess = { pid: number; arguments: string[] }

/**
 * Every living process that was started with `mark` in its environment or that works below the folder `home`, and
 * their children. A process that has ended and that nobody has buried yet does not count.
 */
export function processesOf(mark: string, home: string): RunningProcess[] {
  const seen = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readProcess(Number(pid)) ?? [])
  const ours = new Set(
    seen.flatMap(({ pid, environment, folder }) =>
      environment.includes(mark) || folder.startsWith(home) ? [pid] : [],
    ),
  )
  // Postgres's sessions overwrite their environment with their title; their parent still has its own.
  return seen.flatMap(({ pid, parent, arguments: words }) =>
    ours.has(pid) || ours.has(parent) ? [{ pid, arguments: words }] : [],
  )
}

/** undefined where it has ended meanwhile, or belongs to somebody else. */
function readProcess(pid: number) {
  try {
    const words = (name: string) => readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0").filter(Boolean)
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    if (state === "Z") return undefined
    return {
      pid,
      parent: Number(parent),
      arguments: words("cmdline"),
      environment: words("environ"),
      folder: readlinkSync(`/proc/${pid}/cwd`),
    }
  } catch {
    return undefined
  }
}
