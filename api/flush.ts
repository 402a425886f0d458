/** Writing once per turn of the event loop: what several requests send over one socket goes out together. */
import type { Socket } from "node:net"

const held: Socket[] = []

function flush(): void {
  for (const socket of held.splice(0)) socket.uncork()
}

/** Holds back what is written to `socket` until the events at hand have been handled; then it is one system call. */
export function holdWrites(socket: Socket): void {
  if (socket.writableCorked > 0) return
  if (held.length === 0) setImmediate(flush)
  held.push(socket)
  socket.cork()
}
