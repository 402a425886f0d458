import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import path from "node:path"

/** Our own environment may name the repository of a commit in progress. */
const git = (folder: string, ...words: string[]) =>
  execFileSync("git", words, { cwd: folder, encoding: "utf8", env: { PATH: process.env["PATH"] } })

/** Makes `to` a Git repository with the files of the one at `from`, uncommitted changes included, and its packages. */
export function checkOut(from: string, to: string): void {
  const files = git(from, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
  mkdirSync(to, { recursive: true })
  for (const file of files.filter((name) => name && existsSync(path.join(from, name)))) {
    cpSync(path.join(from, file), path.join(to, file))
  }
  git(to, "init", "--quiet")
  symlinkSync(path.join(from, "node_modules"), path.join(to, "node_modules"))
  writeFileSync(path.join(to, ".git/info/exclude"), "/node_modules\n")
  git(to, "add", "--all")
}

/** The files that were made, changed or removed since `checkOut`, one a line; ignored ones do not count. */
export const changesIn = (checkout: string): string =>
  git(checkout, "ls-files", "--others", "--modified", "--exclude-standard")
