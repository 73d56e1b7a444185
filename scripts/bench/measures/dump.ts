/** Measures the duration and the memory of dumps and restores of a project's database. */
import { Heap } from "../heap.ts";
import { inTurns, timed } from "../measure.ts";
import type { Bench, Measure, Series } from "../measure.ts";
import { work } from "../product.ts";
import { summaryOf } from "../statistics.ts";

const medianOf = (series: Series | undefined): number => summaryOf(series?.rounds ?? []).median;

/** Peak live heap of the product and the reader of the dump, polled while it runs. */
async function peakLive(heaps: readonly Heap[], run: () => Promise<unknown>): Promise<number> {
  let most = 0;
  const state = { running: true };
  const ended = run().finally(() => (state.running = false));
  while (state.running) {
    const live = await Promise.all(heaps.map(async (heap) => heap.liveMb()));
    most = Math.max(
      most,
      live.reduce((sum, each) => sum + each, 0),
    );
  }
  await ended;
  return most;
}

async function measureSize(
  bench: Bench,
  megabytes: number,
  heaps: readonly Heap[],
): Promise<{ dump: Series; restore: Series; live: Series }> {
  const { workerd, scale } = bench;
  bench.report(`dump and restore, ${megabytes} MB`);
  const name = `bench-${megabytes}`;
  await work(workerd, "/database/fill", megabytes, name);
  const measureTime = async (path: string, contender: string): Promise<Series> => {
    const [series] = await inTurns(scale.rounds, "ms", [
      { name: contender, run: async () => timed(async () => work(workerd, path, 0, name)) },
    ]);
    if (series === undefined) throw new Error(contender);
    return series;
  };
  const dump = await measureTime("/database/dump", `dump of ${megabytes} MB`);
  const rounds: number[] = [];
  for (let round = 0; round < scale.rounds; round += 1) {
    rounds.push(await peakLive(heaps, async () => work(workerd, "/database/dump", 0, name)));
  }
  const live = { contender: `peak memory, dump of ${megabytes} MB`, unit: "MB", rounds } as const;
  return { dump, live, restore: await measureTime("/database/restore", `dump and restore of ${megabytes} MB`) };
}

export const dump: Measure = {
  name: "dump",
  about: "dump and restore of a project's database",
  inspected: true,
  run: async (bench) => {
    const { workerd, scale } = bench;
    const inspector = await workerd.inspector();
    const heaps = await Promise.all(["product", "bench"].map(async (worker) => Heap.of(inspector, worker)));
    const found: { megabytes: number; dump: Series; restore: Series; live: Series }[] = [];
    for (const megabytes of scale.megabytes) found.push({ megabytes, ...(await measureSize(bench, megabytes, heaps)) });
    for (const heap of heaps) heap.close();
    const [first, last] = [found[0], found.at(-1)];
    const costOf = (each: typeof first): number => medianOf(each?.dump) / (each?.megabytes ?? 1);
    const ratios = [
      { of: "dump, time per megabyte", to: "smallest database", rounds: [costOf(last) / costOf(first)], target: { most: 1.3 } },
      {
        of: "peak memory, largest database",
        to: "smallest database",
        rounds: (last?.live.rounds ?? []).map((mb, round) => mb / (first?.live.rounds[round] ?? mb)),
        target: { most: 1.3 },
      },
    ];
    const series = found.flatMap((each) => [each.dump, each.restore, each.live]);
    return [{ title: "a project's database", series, ratios: found.length > 1 ? ratios : [] }];
  },
};
