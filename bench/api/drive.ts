/** Runs the load generator in a process of its own. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { text } from "node:stream/consumers"
import type { Orders, Report } from "./load.ts"

const LOAD = path.join(import.meta.dirname, "load.ts")

/** Throws when the generator fails. */
export async function drive(orders: Orders): Promise<Report> {
  const child = spawn(process.execPath, [LOAD], { stdio: ["pipe", "pipe", "inherit"] })
  child.stdin.end(JSON.stringify(orders))
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, "exit")])
  if (code !== 0) throw new Error(`the load generator ended with ${String(code)}`)
  return JSON.parse(printed) as Report
}
