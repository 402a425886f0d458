import { PassThrough } from "node:stream"
import { expect, test } from "vitest"
import { confirmName } from "../../reconciler/commands/confirm.ts"

/** What a person on a terminal types, and what they are shown. */
function terminal(typed: string) {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = new PassThrough()
  input.write(typed)
  return { input, output, shown: () => String(output.read() ?? "") }
}
const DEED = "purge Acme: its data is deleted for ever"

test("who types the name is believed, and is told before what it is about", async () => {
  const { shown, ...streams } = terminal("Acme\n")
  await confirmName("Acme", DEED, undefined, streams)
  expect(shown()).toContain("To purge Acme: its data is deleted for ever, type its name: ")
})

test.for<[string, string]>([
  ["acme\n", "nothing was done: that is not Acme"],
  ["y\n", "nothing was done: that is not Acme"],
  ["\n", "nothing was done: that is not Acme"],
])("who types %j is not", async ([typed, message]) => {
  await expect(confirmName("Acme", DEED, undefined, terminal(typed))).rejects.toThrow(message)
})

test("whoever goes away without a word has done nothing", async () => {
  const streams = terminal("")
  const asking = confirmName("Acme", DEED, undefined, streams)
  streams.input.end()
  await expect(asking).rejects.toThrow("nothing was done: you stopped it")
})

test("--yes is the name, and nothing else", async () => {
  await confirmName("Acme", DEED, "Acme", terminal(""))
  await expect(confirmName("Acme", DEED, "true", terminal(""))).rejects.toThrow(
    "nothing was done: --yes says true, and this is about Acme",
  )
})

test("where nobody can be asked, nobody is", async () => {
  const input = new PassThrough()
  await expect(confirmName("Acme", DEED, undefined, { input, output: new PassThrough() })).rejects.toThrow(
    `nothing was done: there is no terminal to ask on: to ${DEED}, add --yes Acme`,
  )
})
