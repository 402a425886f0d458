/** What a person does to the files, at random, and what the world should be because of it. */
import { writeFile } from "node:fs/promises"
import path from "node:path"
import type { Expected } from "./faults.ts"
import { type Dice, diceId } from "./soak-dice.ts"
import type { Declaration, FleetWorld } from "./world.ts"

/** Few, so that a name that one tenant gives up is soon another's. */
const NAMES = ["Nile", "Volga", "Loire", "Rhine", "Douro", "Tiber", "Vistula", "Oder", "Drava", "Ebro"]
const MAX_TENANTS = 7
const MAX_MIGRATIONS = 4

type Tenant = Declaration & {
  /** Whether the file is there, and whole. */
  file: "there" | "gone" | "broken"
  /** Whether the ledger is known to say what the file said last. */
  isSettled: boolean
}

const BROKEN: readonly string[] = ["id: [", "name: Half\n", "id: not-a-uuid\nname: Nobody\n", "\tid: 1\n"]

/** Who keeps a name from others: a retired tenant does not. */
const holds = ({ file, protected: isProtected }: Tenant) => file !== "gone" || isProtected === true

export type Edits = ReturnType<typeof createEdits>

export function createEdits(world: FleetWorld, dice: Dice) {
  const tenants = new Map<string, Tenant>()
  let migrations = 0

  const all = () => [...tenants.values()]
  const there = () => all().filter(({ file }) => file === "there")
  const freeName = () =>
    dice.of(NAMES.filter((name) => !all().some((tenant) => holds(tenant) && tenant.name === name)))

  async function write(tenant: Tenant, changes: Partial<Tenant> = {}): Promise<void> {
    Object.assign(tenant, { file: "there", isSettled: false }, changes)
    const { file: _, isSettled: __, ...declaration } = tenant
    await world.declare(declaration)
  }
  /** They give their names on in a circle. */
  async function turn(count: number): Promise<string | undefined> {
    const circle = dice.some(there(), count)
    if (circle.length < count) return undefined
    const names = circle.map(({ name }) => name)
    for (const [index, tenant] of circle.entries()) await write(tenant, { name: names[(index + 1) % count]! })
    return `turn ${names.join(" > ")}`
  }
  const flip = (key: "suspended" | "protected") => async (): Promise<string | undefined> => {
    const tenant = dice.of(there())
    if (!tenant) return undefined
    await write(tenant, { [key]: !tenant[key] })
    return `${tenant.name}: ${key} ${tenant[key]}`
  }

  /** Each does one thing and says what, or nothing where it cannot be done now. */
  const edits: Record<string, () => Promise<string | undefined>> = {
    async add() {
      const name = freeName()
      if (!name || all().length >= MAX_TENANTS) return undefined
      const tenant: Tenant = { id: diceId(dice), name, file: "there", isSettled: false }
      tenants.set(tenant.id, tenant)
      await write(tenant)
      return `add ${name}`
    },
    async rename() {
      const [tenant, name] = [dice.of(there()), freeName()]
      if (!tenant || !name) return undefined
      const before = tenant.name
      await write(tenant, { name })
      return `rename ${before} > ${name}`
    },
    swap: () => turn(2),
    turn: () => turn(3),
    async remove() {
      // A ledger that lags behind the files remembers another name, or another protection.
      const tenant = dice.of(there().filter(({ isSettled }) => isSettled))
      if (!tenant || there().length < 3) return undefined
      Object.assign(tenant, { file: "gone" })
      await world.remove(tenant.id)
      return `remove ${tenant.name}`
    },
    async restore() {
      const tenant = dice.of(all().filter(({ file }) => file === "gone"))
      if (!tenant) return undefined
      const isTaken = all().some((other) => other !== tenant && holds(other) && other.name === tenant.name)
      const name = isTaken ? freeName() : tenant.name
      if (!name) return undefined
      await write(tenant, { name })
      return `restore ${name}`
    },
    async break() {
      const tenant = dice.of(there())
      if (!tenant) return undefined
      Object.assign(tenant, { file: "broken" })
      await writeFile(path.join(world.tenantsDir, `${tenant.id}.yaml`), dice.of(BROKEN)!)
      return `break ${tenant.name}`
    },
    async mend() {
      const tenant = dice.of(all().filter(({ file }) => file === "broken"))
      if (!tenant) return undefined
      await write(tenant)
      return `mend ${tenant.name}`
    },
    suspend: flip("suspended"),
    protect: flip("protected"),
    async migrate() {
      if (migrations >= MAX_MIGRATIONS || !dice.oneIn(3)) return undefined
      const file = `00${50 + ++migrations}_soak.sql`
      await world.addMigration(file, `create table soak_${migrations} (id bigint primary key);\n`)
      return `add ${file}`
    },
  }

  return {
    /** One edit that can be done, in words. */
    edit: async (): Promise<string> => {
      for (;;) {
        const said = await dice.of(Object.values(edits))!()
        if (said) return said
      }
    },
    /** Makes every file whole again. */
    mendAll: async (): Promise<void> => {
      for (const tenant of all()) if (tenant.file === "broken") await write(tenant)
    },
    /** What the files ask for, once every file is whole. */
    expected: (): Expected[] =>
      all().map(({ id, name, file, suspended, protected: isProtected }) => ({
        id,
        name,
        // Protection outlives the file.
        state: file === "gone" && !isProtected ? "retired" : suspended ? "suspended" : "active",
        ...(isProtected ? { protected: true } : {}),
      })),
    /** The world was seen to be as the files say. */
    settle: (): void => {
      for (const tenant of all()) tenant.isSettled = true
    },
  }
}
