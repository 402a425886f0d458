/** Does what a Dockerfile says in a folder that stands for the image's root, without Docker. */
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs"
import path from "node:path"

export type Image = {
  /** The folder that stands for /. */
  root: string
  workdir: string
  /** Paths of the image lead into `root`. */
  env: Record<string, string>
  user: string
  command: string[]
  healthcheck: string[]
}

type Instruction = { word: string; rest: string }
type Stage = { name: string; from: string; instructions: Instruction[] }

function parse(text: string): Stage[] {
  const lines = text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
  const stages: Stage[] = []
  for (const line of lines) {
    const [, word, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (word === undefined || rest === undefined) throw new Error(`Dockerfile: what is "${line}"?`)
    if (word === "FROM") {
      const [, from, name] = /^(\S+) AS (\S+)$/.exec(rest)!
      stages.push({ name: name!, from: from!, instructions: [] })
    } else stages.at(-1)!.instructions.push({ word, rest })
  }
  return stages
}

/** What .dockerignore leaves of the context: the last pattern that fits a path or a folder above it decides. */
function isInContext(patterns: readonly string[], file: string): boolean {
  const parts = file.split("/")
  const above = parts.map((_, index) => parts.slice(0, index + 1).join("/"))
  const last = patterns.findLast((pattern) =>
    above.some((part) => path.matchesGlob(part, pattern.replace(/^!/, ""))),
  )
  return last === undefined || last.startsWith("!")
}

/** Builds images below `folder` from the context's Dockerfile; each stage is made once. */
export function createBuilder(context: string, folder: string): (target: string) => Image {
  const stages = parse(readFileSync(path.join(context, "Dockerfile"), "utf8"))
  const patterns = readFileSync(path.join(context, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
  const built = new Map<string, Image>()

  function build(target: string): Image {
    const known = built.get(target)
    if (known) return known
    const stage = stages.find(({ name }) => name === target)!
    const root = path.join(folder, target)
    mkdirSync(root, { recursive: true })
    const image: Image = { root, workdir: "/", env: {}, user: "root", command: [], healthcheck: [] }
    if (stages.some(({ name }) => name === stage.from)) {
      const base = build(stage.from)
      link(base.root, root)
      Object.assign(image, { ...base, root, env: Object.fromEntries(Object.entries(base.env)) })
    }
    for (const instruction of stage.instructions) perform(image, instruction)
    built.set(target, image)
    return image
  }

  function perform(image: Image, { word, rest }: Instruction): void {
    const here = (file: string) => path.join(image.root, path.resolve(image.workdir, file))
    switch (word) {
      case "WORKDIR":
        image.workdir = path.resolve(image.workdir, rest)
        mkdirSync(here("."), { recursive: true })
        return
      case "COPY": {
        const words = rest.split(/\s+/)
        const from = words[0]!.startsWith("--from=") ? words.shift()!.slice("--from=".length) : undefined
        const to = words.pop()!
        for (const source of words) copy(from === undefined ? undefined : build(from), source, here(to), to)
        return
      }
      case "RUN":
        execFileSync("sh", ["-ec", rest], { cwd: here("."), env: buildEnvironment(), stdio: "pipe" })
        return
      case "ENV": {
        const [, name, value] = /^(\w+)=(.*)$/.exec(rest)!
        image.env[name!] = value!.startsWith("/") ? path.join(image.root, value!) : value!
        return
      }
      case "USER":
        image.user = rest
        return
      case "CMD":
        image.command = JSON.parse(rest) as string[]
        return
      case "HEALTHCHECK":
        image.healthcheck = JSON.parse(rest.slice(rest.indexOf("["))) as string[]
        return
      case "ARG":
      case "EXPOSE":
      case "LABEL":
      case "STOPSIGNAL":
        return
      default:
        throw new Error(`Dockerfile: ${word} is not understood here`)
    }
  }

  function copy(from: Image | undefined, source: string, to: string, written: string): void {
    const origin = from ? path.join(from.root, source) : path.join(context, source)
    if (!existsSync(origin) || (!from && !isInContext(patterns, source)))
      throw new Error(`Dockerfile: COPY ${source}: there is no such file in the context`)
    const isInto = written.endsWith("/")
    const place = isInto ? path.join(to, path.basename(source)) : to
    if (from) return link(origin, place)
    const filter = (file: string) => isInContext(patterns, path.relative(context, file))
    cpSync(origin, place, { recursive: true, filter })
  }

  return build
}

/** A copy that shares its files' content, which nobody changes. */
const link = (from: string, to: string) => void execFileSync("cp", ["-alT", from, to])

/** The Node that the base image has stands first; packages come from npm's cache where it has them. */
const buildEnvironment = () => ({
  PATH: `${path.dirname(process.execPath)}:${process.env["PATH"]}`,
  HOME: process.env["HOME"],
  npm_config_prefer_offline: "true",
  npm_config_update_notifier: "false",
})
