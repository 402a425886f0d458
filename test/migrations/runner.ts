/** A runner in a process of its own, so that a test can kill it: `node runner.ts <uri> <folder>`. */
import { readMigrations } from "../../reconciler/migrations.ts"
import { migrate } from "../../reconciler/providers/migrator.ts"

const [uri, folder] = process.argv.slice(2)
await migrate(uri!, await readMigrations(folder!))
