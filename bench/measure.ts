/** Runs a scene: all contestants once a round, and the order changes with every round. */
import type { Contestant, Figures, Scene, Target } from "./bench.ts"

type Measured = {
  name: string
  role: Contestant["role"]
  /** Each round's figures. */
  rounds: Figures[]
  /** Medians over the rounds. */
  median: Figures
  /** Medians of what each round's figure is as a share of the anchor's in that round. */
  ratio: Figures
}
type JudgedTarget = { text: string; value: number | undefined; isMet: boolean }
export type SceneResult = {
  name: string
  anchor: string
  contestants: Measured[]
  targets: JudgedTarget[]
  missing: readonly string[]
}

/** The middle one, or the mean of the two in the middle; NaN for none. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Throws what a contestant throws. `heard` is told before each turn. */
export async function measure(
  scene: Scene,
  rounds: number,
  heard: (round: number, contestant: string) => void,
): Promise<SceneResult> {
  const figures = new Map(scene.contestants.map(({ name }) => [name, [] as Figures[]]))
  const warmups = scene.warmups ?? 1
  for (let round = 1 - warmups; round <= rounds; round++) {
    const first = (round + warmups - 1) % scene.contestants.length
    for (const contestant of [...scene.contestants.slice(first), ...scene.contestants.slice(0, first)]) {
      heard(round, contestant.name)
      const measured = await contestant.measure()
      if (round > 0) figures.get(contestant.name)!.push(measured)
    }
  }
  const of = (name: string) => figures.get(name)!
  return {
    name: scene.name,
    anchor: scene.anchor,
    contestants: scene.contestants.map(({ name, role }) => ({
      name,
      role,
      rounds: of(name),
      median: byMetric(scene, (metric) => medianOf(of(name), metric)),
      ratio: byMetric(scene, (metric) => ratio(of(name), of(scene.anchor), metric)),
    })),
    targets: scene.targets.map((target) => judge(target, of)),
    missing: scene.missing ?? [],
  }
}

function byMetric(scene: Scene, value: (metric: string) => number): Figures {
  const pairs = scene.metrics.map(({ name }) => [name, value(name)] as const)
  return Object.fromEntries(pairs.filter(([, figure]) => !Number.isNaN(figure)))
}

const medianOf = (rounds: Figures[], metric: string) =>
  median(rounds.flatMap((figures) => figures[metric] ?? []))

const ratio = (rounds: Figures[], others: Figures[], metric: string) =>
  median(
    rounds.flatMap((figures, round) => {
      const [figure, other] = [figures[metric], others[round]?.[metric]]
      return figure === undefined || other === undefined || other === 0 ? [] : [figure / other]
    }),
  )

function judge(target: Target, of: (name: string) => Figures[]): JudgedTarget {
  const { metric, against } = target
  const value =
    against === undefined ? medianOf(of(target.of), metric) : ratio(of(target.of), of(against), metric)
  const [sign, bound] =
    "atLeast" in target ? (["at least", target.atLeast] as const) : (["at most", target.atMost] as const)
  const unit = against === undefined ? "" : ` times ${against}`
  return {
    text: `${target.of}: ${metric} ${sign} ${bound}${unit}`,
    value: Number.isNaN(value) ? undefined : value,
    isMet: "atLeast" in target ? value >= target.atLeast : value <= target.atMost,
  }
}
