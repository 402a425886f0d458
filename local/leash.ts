/**
 * Loaded into a child process by NODE_OPTIONS: ends it when the process that started it is gone, even by kill -9.
 * The descriptor is a pipe that only the parent holds open; its end is the news.
 */
import { Socket } from "node:net"

const pipe = new Socket({ fd: Number(process.env["TENANTRY_LEASH"]), readable: true })
pipe.on("error", () => {}) // "close" follows
pipe.on("close", () => {
  process.kill(process.pid, "SIGTERM")
  setTimeout(() => process.kill(process.pid, "SIGKILL"), 5000).unref()
})
pipe.resume()
pipe.unref()
