import { openVault } from "./vault-client.ts"

const statusOf = (error: unknown) => (error as { statusCode?: number }).statusCode ?? 0

/**
 * Deletes the secrets that are ours, and purges what was deleted of them where the vault lets it. Throws where one is
 * left that was not deleted.
 */
export async function removeSecrets(
  url: string,
  isOurs: (name: string) => boolean,
  say: (text: string) => void,
): Promise<void> {
  const client = openVault(url)
  const ours = async (secrets: AsyncIterable<{ name: string }>) => {
    const names: string[] = []
    for await (const { name } of secrets) if (isOurs(name)) names.push(name)
    return names
  }
  const deletions = (await ours(client.listPropertiesOfSecrets())).map(async (name) => {
    const poller = await client.beginDeleteSecret(name, { intervalInMs: 1000 })
    await poller.pollUntilDone()
  })
  await Promise.all(deletions)
  const deleted = await ours(client.listDeletedSecrets())
  let kept = 0
  for (const name of deleted) {
    await client.purgeDeletedSecret(name).catch((error: unknown) => {
      if (statusOf(error) === 403) kept += 1
      else if (statusOf(error) !== 404) throw error
    })
  }
  const left = await ours(client.listPropertiesOfSecrets())
  if (left.length > 0) throw new Error(`still in the vault: ${left.join(", ")}`)
  say(`      ${deleted.length - kept} secrets purged`)
  if (kept > 0)
    say(`      ${kept} secrets stay among the deleted ones until the vault forgets them: purge protection`)
}
