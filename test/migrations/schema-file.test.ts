import { readFile, writeFile } from "node:fs/promises"
import { expect, test } from "vitest"
import { readMigrations } from "../../reconciler/migrations.ts"
import { migrate } from "../../reconciler/providers/migrator.ts"
import { dumpSchema } from "../../reconciler/providers/schema-dump.ts"
import { useServer } from "./server.ts"

const FILE = "migrations/schema.sql"
const HEAD = `-- The schema after all steps, so that a review sees what a step does. Nobody runs this file; what writes it is
-- UPDATE_SCHEMA=1 npx vitest run test/migrations/schema-file.test.ts
`
const server = useServer()

test("migrations/schema.sql is the schema after all steps", async () => {
  const uri = await server.database()
  await migrate(uri, await readMigrations("migrations"))
  const dump = `${HEAD}\n${await dumpSchema(uri)}`
  if (process.env["UPDATE_SCHEMA"]) await writeFile(FILE, dump)
  expect(await readFile(FILE, "utf8")).toBe(dump)
})
