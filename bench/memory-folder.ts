/** Where files cost the same in every round. */
import { chmod, mkdtemp, statfs } from "node:fs/promises"

const MEMORY = "/dev/shm"
/** Bytes that programs need beside it. */
const RESERVE = 2e9

/**
 * Makes a folder in memory, for `bytes` of files; undefined where there is no room. On a disk, ext4 makes files several
 * times slower for minutes after many were removed, as each round's are before the next: the figures would say when a
 * round took place. Whoever asks for the folder removes it.
 */
export async function memoryFolder(bytes: number): Promise<string | undefined> {
  const room = await statfs(MEMORY).catch(() => undefined)
  if (room === undefined || Math.min(room.bavail * room.bsize, process.availableMemory() - RESERVE) < bytes)
    return undefined
  const folder = await mkdtemp(`${MEMORY}/tenantry-bench-`)
  // Postgres runs as another user where this is root's.
  await chmod(folder, 0o755)
  return folder
}
