/** The packages that only the benchmarks need, installed when they are wanted for the first time. */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import path from "node:path"

const HERE = import.meta.dirname

const read = (file: string) =>
  JSON.parse(readFileSync(path.join(HERE, file), "utf8")) as Record<string, unknown>

function isInstalled(name: string, version: string): boolean {
  try {
    return read(`node_modules/${name}/package.json`)["version"] === version
  } catch {
    return false
  }
}

/** Runs `npm ci` in bench/ where a package is missing or has another version, and says so. Throws when that fails. */
export function installPeers(say: (text: string) => void): void {
  const wanted = Object.entries(read("package.json")["dependencies"] as Record<string, string>)
  const missing = wanted.filter(([name, version]) => !isInstalled(name, version)).map(([name]) => name)
  if (missing.length === 0) return
  say(`installing what is compared with, in bench/ (npm ci): ${missing.join(", ")}`)
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: HERE,
    stdio: ["ignore", "ignore", "inherit"],
  })
  if (status !== 0) throw new Error("npm ci has failed in bench/: see above, and run it there by hand")
}
