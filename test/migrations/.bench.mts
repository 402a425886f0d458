import { mkdtemp, mkdir, writeFile } from "node:fs/promises"
import path from "node:path"
import { tmpdir } from "node:os"
import { createServer, connect } from "node:net"
import { Client } from "pg"
import { startPostgres, removePostgres } from "../../local/postgres.ts"
import { readMigrations } from "../../reconciler/migrations.ts"
import { migrate } from "../../reconciler/providers/migrator.ts"
import { withDatabase } from "../../reconciler/providers/postgres.ts"
const N = Number(process.argv[2] ?? 100), DELAY = Number(process.argv[3] ?? 0), ROUNDS = Number(process.argv[4] ?? 3)
const dir = await mkdtemp(path.join(tmpdir(), "tenantry-bench-"))
const pgs = await startPostgres({ directory: dir })
const folder = path.resolve("migrations")
const migrations = await readMigrations(folder)
let base = pgs.superuserUri
if (DELAY) {
  const relay = createServer((near) => {
    near.setNoDelay(true)
    const far = connect(pgs.port, "127.0.0.1"); far.setNoDelay(true)
    near.on("data", (b) => setTimeout(() => far.write(b), DELAY / 2)); far.on("data", (b) => setTimeout(() => near.write(b), DELAY / 2))
    near.on("close", () => setTimeout(() => far.destroy(), DELAY)); far.on("close", () => setTimeout(() => near.destroy(), DELAY))
    near.on("error", () => {}); far.on("error", () => {})
  })
  await new Promise<void>((r) => relay.listen(0, "127.0.0.1", r))
  const u = new URL(base); u.port = String((relay.address() as any).port); base = u.href
}
const admin = new Client({ connectionString: pgs.superuserUri }); await admin.connect()
async function pool(names: string[], task: (uri: string) => Promise<void>) {
  let next = 0; const t = performance.now()
  await Promise.all(Array.from({ length: 8 }, async () => { while (next < names.length) await task(withDatabase(base, names[next++]!)) }))
  return names.length / ((performance.now() - t) / 1000)
}
async function fresh(tag: string) {
  const names = Array.from({ length: N }, (_, i) => `${tag}_${i}`)
  for (const n of names) await admin.query(`create database ${n} strategy wal_log`)
  await admin.query("checkpoint")
  return names
}
async function drop(names: string[]) { for (const n of names) await admin.query(`drop database ${n} with (force)`) }
const script = `begin; create schema tenantry; create table tenantry.migrations (name text primary key, checksum text not null, state text not null default 'done', statements int not null default 0, applied_at timestamptz not null default now()); create table tenantry.seeds (name text primary key, applied_at timestamptz not null default now());\n` +
  migrations.steps.map((s) => `${s.up.sql}\n; insert into tenantry.migrations (name, checksum) values ('${s.name}', '${s.checksum}');`).join("\n") + "\ncommit"
const limit = async (uri: string) => { const c = new Client({ connectionString: uri }); await c.connect(); await c.query(script); await c.end() }
const deepLimit = async (uri: string) => { const c = new Client({ connectionString: uri }); await c.connect(); await c.query("select name, checksum from tenantry.migrations order by name"); await c.end() }
const ours = (uri: string) => migrate(uri, migrations)
const median = (v: number[]) => v.toSorted((a, b) => a - b)[Math.floor(v.length / 2)]!
const seen: Record<string, number[]> = { limit: [], ours: [], deepLimit: [], deepOurs: [] }
for (let r = 0; r < ROUNDS; r++) {
  const order = r % 2 ? (["ours", "limit"] as const) : (["limit", "ours"] as const)
  for (const which of order) {
    const names = await fresh(`${which}${r}`.toLowerCase())
    seen[which]!.push(await pool(names, which === "limit" ? limit : ours))
    if (which === "ours") { seen["deepLimit"]!.push(await pool(names, deepLimit)); seen["deepOurs"]!.push(await pool(names, ours)); seen["deepLimit"]!.push(await pool(names, deepLimit)); seen["deepOurs"]!.push(await pool(names, ours)) }
    await drop(names)
  }
  console.log(JSON.stringify(Object.fromEntries(Object.entries(seen).map(([k, v]) => [k, v.map((x) => Math.round(x * 10) / 10)]))))
}
console.log("apply ratio", (median(seen["ours"]!) / median(seen["limit"]!)).toFixed(3), "deep ratio", (median(seen["deepOurs"]!) / median(seen["deepLimit"]!)).toFixed(3))
await admin.end(); await pgs.stop(); await removePostgres(dir); process.exit(0)
