/** npm run reset: empties the local world. */
import { homeDirectory, removeHome } from "./home.ts"

const home = homeDirectory()
try {
  await removeHome(home)
  process.stdout.write(`${home} is removed; the next "npm start" begins anew\n`)
} catch (error) {
  process.stderr.write(`tenantry: ${(error as Error).message}\n`)
  process.exitCode = 1
}
