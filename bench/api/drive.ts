/** Servers under load, by a generator in a process of its own. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { text } from "node:stream/consumers"
import type { Orders, Report } from "./load.ts"
import type { Program } from "./program.ts"
import type { StartServer } from "./servers.ts"

const LOAD = path.join(import.meta.dirname, "load.ts")

/** Starts a server, loads it, and stops it once `read` has made of both what is wanted. Throws when the generator fails. */
export async function underLoad<T>(
  start: StartServer,
  orders: Omit<Orders, "port">,
  read: (report: Report, server: Program) => T | Promise<T>,
): Promise<T> {
  const server = await start()
  try {
    return await read(await drive({ ...orders, port: Number(new URL(server.url).port) }), server)
  } finally {
    await server.stop()
  }
}

async function drive(orders: Orders): Promise<Report> {
  const child = spawn(process.execPath, [LOAD], { stdio: ["pipe", "pipe", "inherit"] })
  child.stdin.end(JSON.stringify(orders))
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, "exit")])
  if (code !== 0) throw new Error(`the load generator ended with ${String(code)}`)
  return JSON.parse(printed) as Report
}
