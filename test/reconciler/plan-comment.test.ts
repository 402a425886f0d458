import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { expect, test } from "vitest"
import type { LintWarning } from "../../reconciler/migration-lint.ts"
import { LONGEST, MARK, renderComment } from "../../reconciler/plan-comment.ts"
import type { PlanDocument } from "../../reconciler/plan-document.ts"

const id = (n: number) => `10000000-0000-4000-8000-${String(n).padStart(12, "0")}`

const plan = (more: Partial<PlanDocument>): PlanDocument => {
  const whole: PlanDocument = {
    version: 1,
    fleet: "sample",
    counts: { changes: 0, removals: 0, waiting: 0, withheld: 0, stalls: 0, problems: 0 },
    changes: [],
    withheld: [],
    stalls: [],
    problems: [],
    unmanaged: { databases: [], secrets: [] },
    basis: {},
    ...more,
  }
  const { changes, withheld, stalls, problems } = whole
  const waiting = withheld.filter((each) => each.waiting).length
  return {
    ...whole,
    counts: {
      changes: changes.length,
      removals: changes.filter(({ removal }) => removal).length,
      waiting,
      withheld: withheld.length - waiting,
      stalls: stalls.length,
      problems: problems.length,
    },
  }
}

const change = (n: number, name: string, kind: string, ...actions: string[]) => ({
  tenant: id(n),
  name,
  kind,
  removal: kind === "retire" || kind === "purge",
  actions,
})

const WARNING: LintWarning = {
  file: "migrations/0005_colour.sql",
  line: 3,
  rule: "drop-column",
  message: "DROP COLUMN: stop using it in a release before this",
}
const URL = { url: "https://github.com/acme/tenants/actions/runs/1" }

const CASES: Record<string, [PlanDocument, LintWarning[]]> = {
  nothing: [plan({}), []],
  "one-of-each": [
    plan({
      changes: [
        change(1, "Ada", "create", "reserve", "create", "publish"),
        change(2, "Bob", "retire", "record", "close", "rename"),
        change(3, "Cleo", "rename", "record", "close", "rename", "publish"),
      ],
      withheld: [
        {
          tenant: id(4),
          name: "Dan",
          kind: "retire",
          waiting: false,
          reason: "Protected",
          message: "the ledger says that this tenant is protected",
          approve: "retire",
        },
        {
          tenant: id(5),
          name: "Eve",
          kind: "migrate",
          waiting: true,
          reason: "RolloutWaits",
          message: "waits for its wave",
        },
      ],
      stalls: [{ tenant: id(6), name: "Fay", reason: "NameTaken", message: "choose another name" }],
      problems: ["tenants/x.yaml:3: name: is missing"],
    }),
    [WARNING],
  ],
  "hostile-names": [
    plan({
      fleet: "a`b",
      changes: [change(1, "x`\n# @everyone <script>", "purge", "forget")],
      stalls: [
        {
          tenant: id(2),
          name: "](https://evil.example)",
          reason: "NameTaken",
          message: "@acme/admins <img src=x> **bold** | [click](https://evil.example)\n\n# heading",
        },
      ],
    }),
    [],
  ],
}

test.for(Object.entries(CASES))(
  "the comment for %s is as its golden file says",
  ([name, [document, warnings]]) => {
    const file = path.resolve(import.meta.dirname, `golden/comment-${name}.md`)
    const comment = renderComment(document, warnings, URL)
    if (process.env["UPDATE_GOLDEN"]) writeFileSync(file, comment)
    expect(comment).toBe(readFileSync(file, "utf8"))
  },
)

test("the first line is how the comment is found again", () => {
  expect(renderComment(plan({}), [], URL).split("\n")[0]).toBe(MARK)
})

test("ten thousand changes of every sort fit a comment, with the counts and the first removals by name", () => {
  const all = Array.from({ length: 10_000 }, (_, n) => n)
  const message = "m".repeat(5000)
  const document = plan({
    changes: all.map((n) =>
      change(
        n,
        "東".repeat(18),
        n % 2 ? "retire" : "create",
        ...Array.from({ length: 9 }, () => "credential"),
      ),
    ),
    withheld: all.map((n) => ({
      tenant: id(n),
      name: "W".repeat(54),
      kind: "purge",
      waiting: n % 2 === 0,
      reason: "TooManyRemovals",
      message: n % 2 === 0 ? `${message}${n}` : "&<>@".repeat(1000),
      approve: "purge" as const,
    })),
    stalls: all.map((n) => ({
      tenant: id(n),
      name: "S",
      reason: "DatabaseMissing",
      message: "@".repeat(5000),
    })),
    problems: all.map((n) => `tenants/${n}.yaml:1: ${"&".repeat(500)}`),
  })
  const comment = renderComment(
    document,
    all.map(() => ({ ...WARNING, message: "<".repeat(500) })),
    URL,
  )
  expect(comment.length).toBeLessThanOrEqual(LONGEST)
  expect(comment.split("\n")[1]).toBe(
    "### Plan for the fleet `sample`: 10000 changes, 5000 removals, 5000 withheld, 10000 stalled, 10000 faults, 10000 migration warnings",
  )
  expect(comment.match(/^- retire /gm)!.length).toBeGreaterThanOrEqual(50)
  expect(comment).toContain("- … and 4850 more, see the artifact")
})
