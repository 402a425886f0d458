/** What this identity may do in a vault, found out without writing anything. */
import { randomUUID } from "node:crypto"
import { createVaultClient, guarded } from "./vault-client.ts"
import { isAbsent } from "./vault-errors.ts"

/**
 * Resolves where the identity may write and delete secrets named tenant-…. Key Vault looks at rights before it looks
 * for the secret, so who may is told that there is no such secret. Throws TransientError where it may not.
 */
export async function assertMayWrite(url: string): Promise<void> {
  const client = createVaultClient(url)
  const nobody = `tenant-${randomUUID()}`
  await guarded("write secrets", async (abortSignal) => {
    await client.updateSecretProperties(nobody, "", { enabled: false, abortSignal }).catch(expectAbsent)
  })
  await guarded("delete secrets", async (abortSignal) => {
    await client.beginDeleteSecret(nobody, { abortSignal }).catch(expectAbsent)
  })
}

function expectAbsent(error: unknown): void {
  if (!isAbsent(error)) throw error
}
